/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel lets us see. */
#include "base/file.h"
#include "cli/doctor.h"
#include "cli/doctor_list.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- Perf events. ---- */

static bool try_perf(pid_t pid, int cpu)
{
    struct perf_event_attr attr = {
        .size = sizeof(attr),
        .type = PERF_TYPE_SOFTWARE,
        .config = PERF_COUNT_SW_CPU_CLOCK,
        .sample_freq = 99,
        .freq = 1,
        .sample_type = PERF_SAMPLE_IP,
        .disabled = 1,
        .exclude_kernel = 1,
    };
    long fd = syscall(SYS_perf_event_open, &attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);

    if (fd < 0)
        return false;
    (void)close((int)fd); /* A counter that never ran. */
    return true;
}

void doctor_perf_events(const struct config *config, struct doctor_answer *answer)
{
    int64_t paranoid = -1;
    bool known = doctor_read_number("/proc/sys/kernel/perf_event_paranoid", &paranoid);
    bool own = try_perf(0, -1);
    int own_errno = errno;
    bool all = try_perf(-1, 0);

    if (all) {
        doctor_say(answer, DOCTOR_OK, "all processes can be sampled");
        return;
    }
    if (own) {
        doctor_say(answer, DOCTOR_LIMITED,
                   "only our own processes can be sampled (perf_event_paranoid is %lld)",
                   (long long)paranoid);
        doctor_advise(answer, "run as root, give the binary CAP_PERFMON (setcap cap_perfmon+ep), "
                              "or: sysctl kernel.perf_event_paranoid=0");
        return;
    }
    doctor_say(answer, DOCTOR_MISSING, "the kernel refuses perf events: %s", strerror(own_errno));
    if (!known)
        doctor_advise(answer, "the kernel is built without perf events, or a container hides them");
    else if (own_errno == ENOSYS || geteuid() == 0)
        doctor_advise(answer,
                      "a container or a seccomp filter forbids perf_event_open; allow it in "
                      "the container's profile (for Docker: --cap-add PERFMON)");
    else
        doctor_advise(answer, "sysctl kernel.perf_event_paranoid=2 allows a user's own processes, "
                              "0 all of them");
}

/* ---- BPF. ---- */

static int bpf_call(enum bpf_cmd command, union bpf_attr *attr)
{
    return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static bool try_map(void)
{
    union bpf_attr attr = {
        .map_type = BPF_MAP_TYPE_ARRAY,
        .key_size = 4,
        .value_size = 8,
        .max_entries = 1,
    };
    int fd = bpf_call(BPF_MAP_CREATE, &attr);

    if (fd < 0)
        return false;
    (void)close(fd); /* The map goes with it. */
    return true;
}

/* "Return 0", as a program for perf events: the kind that a sampler needs. */
static bool try_program(void)
{
    static const struct bpf_insn instructions[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
        {.code = BPF_JMP | BPF_EXIT},
    };
    union bpf_attr attr = {
        .prog_type = BPF_PROG_TYPE_PERF_EVENT,
        .insns = (uint64_t)(uintptr_t)instructions,
        .insn_cnt = ARRAY_COUNT(instructions),
        .license = (uint64_t)(uintptr_t) "Dual BSD/GPL",
    };
    int fd = bpf_call(BPF_PROG_LOAD, &attr);

    if (fd < 0)
        return false;
    (void)close(fd); /* Never attached. */
    return true;
}

void doctor_bpf(const struct config *config, struct doctor_answer *answer)
{
    int64_t disabled = -1;
    bool map = try_map();
    bool program = try_program();
    int program_errno = errno;

    if (!doctor_read_number("/proc/sys/kernel/unprivileged_bpf_disabled", &disabled))
        disabled = -1;
    if (map && program) {
        doctor_say(answer, DOCTOR_OK, "maps and programs can be loaded");
        return;
    }
    doctor_say(answer, map ? DOCTOR_LIMITED : DOCTOR_MISSING,
               "%s (unprivileged_bpf_disabled is %lld): %s",
               map ? "maps can be made, programs not loaded" : "the kernel refuses BPF",
               (long long)disabled, strerror(program_errno));
    if (program_errno == ENOSYS)
        doctor_advise(answer, "the kernel is built without BPF; profiles use perf events instead");
    else if (geteuid() == 0)
        doctor_advise(answer,
                      "a container, lockdown or a seccomp filter forbids BPF; allow CAP_BPF "
                      "and CAP_PERFMON, or profiles use perf events instead");
    else
        doctor_advise(answer,
                      "run as root or: setcap cap_bpf,cap_perfmon+ep on the binary; without "
                      "it profiles use perf events");
}

void doctor_btf(const struct config *config, struct doctor_answer *answer)
{
    if (access("/sys/kernel/btf/vmlinux", R_OK) == 0) {
        doctor_say(answer, DOCTOR_OK, "/sys/kernel/btf/vmlinux is there");
        return;
    }
    doctor_say(answer, DOCTOR_MISSING, "/sys/kernel/btf/vmlinux is not there");
    doctor_advise(answer, "needs a kernel built with CONFIG_DEBUG_INFO_BTF, as Debian's are");
}

void doctor_tracepoints(const struct config *config, struct doctor_answer *answer)
{
    static const char *const paths[] = {
        "/sys/kernel/tracing/events/sched/sched_switch/id",
        "/sys/kernel/debug/tracing/events/sched/sched_switch/id",
    };
    int64_t id;

    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        if (doctor_read_number(paths[i], &id)) {
            doctor_say(answer, DOCTOR_OK, "sched_switch is number %lld", (long long)id);
            return;
        }
    }
    doctor_say(answer, DOCTOR_MISSING, "/sys/kernel/tracing cannot be read");
    if (access("/sys/kernel/tracing", F_OK) == 0)
        doctor_advise(answer, "as root: mount -t tracefs nodev /sys/kernel/tracing, and mount -o "
                              "remount,mode=755 /sys/kernel/tracing for others");
    else
        doctor_advise(answer, "the kernel is built without tracing, or a container hides it");
}

void doctor_kernel_symbols(const struct config *config, struct doctor_answer *answer)
{
    char line[256];

    doctor_read_line("/proc/kallsyms", line, sizeof(line));
    if (line[0] == '\0') {
        doctor_say(answer, DOCTOR_MISSING, "/proc/kallsyms cannot be read");
        doctor_advise(answer, "kernel frames appear as addresses");
    } else if (strncmp(line, "0000000000000000", 16) == 0) {
        doctor_say(answer, DOCTOR_LIMITED, "addresses are hidden from this user");
        doctor_advise(answer, "as root: sysctl kernel.kptr_restrict=0 and "
                              "kernel.perf_event_paranoid=1, or run as root");
    } else {
        doctor_say(answer, DOCTOR_OK, "addresses can be read");
    }
}

/* ---- Other processes. ---- */

void doctor_ptrace(const struct config *config, struct doctor_answer *answer)
{
    int64_t scope = 0;
    bool sees_stat = access("/proc/1/stat", R_OK) == 0;
    int fd CLEANUP(file_closep) = open("/proc/1/io", O_RDONLY | O_CLOEXEC);
    char byte;
    bool sees_io = fd >= 0 && read(fd, &byte, 1) == 1;

    /* Without Yama there is no such file and no such bound. */
    (void)doctor_read_number("/proc/sys/kernel/yama/ptrace_scope", &scope);
    if (sees_io) {
        doctor_say(answer, scope > 1 ? DOCTOR_LIMITED : DOCTOR_OK,
                   "details of all processes can be read (ptrace_scope is %lld)", (long long)scope);
        if (scope > 1)
            doctor_advise(answer, "sysctl kernel.yama.ptrace_scope=1 lets stacks be read too");
        return;
    }
    if (!sees_stat) {
        doctor_say(answer, DOCTOR_MISSING, "processes of other users are hidden");
        doctor_advise(answer, "/proc is mounted with hidepid; as root: mount -o remount,hidepid=0 "
                              "/proc, or run with CAP_SYS_PTRACE");
        return;
    }
    doctor_say(answer, DOCTOR_LIMITED, "CPU and memory yes, descriptors and I/O of others no");
    doctor_advise(answer, "run as root or: setcap cap_sys_ptrace,cap_dac_read_search+ep on the "
                          "binary");
}

void doctor_pressure(const struct config *config, struct doctor_answer *answer)
{
    char line[256];

    doctor_read_line("/proc/pressure/cpu", line, sizeof(line));
    if (line[0] != '\0') {
        doctor_say(answer, DOCTOR_OK, "/proc/pressure can be read");
        return;
    }
    doctor_say(answer, DOCTOR_MISSING, "/proc/pressure cannot be read");
    doctor_advise(answer, access("/proc/pressure/cpu", F_OK) == 0
                              ? "boot with psi=1 on the kernel command line"
                              : "needs Linux 4.20 with CONFIG_PSI; a container may hide it");
}

void doctor_cgroups(const struct config *config, struct doctor_answer *answer)
{
    if (access("/sys/fs/cgroup/cgroup.controllers", R_OK) == 0) {
        char line[256];
        doctor_read_line("/sys/fs/cgroup/cgroup.controllers", line, sizeof(line));
        doctor_say(answer, DOCTOR_OK, "version 2 (%s)", line[0] == '\0' ? "no controllers" : line);
    } else if (access("/sys/fs/cgroup/memory", R_OK) == 0 ||
               access("/sys/fs/cgroup/cpu", R_OK) == 0) {
        doctor_say(answer, DOCTOR_OK, "version 1");
    } else {
        doctor_say(answer, DOCTOR_MISSING, "/sys/fs/cgroup cannot be read");
        doctor_advise(answer, "as root: mount -t cgroup2 none /sys/fs/cgroup; containers see their "
                              "own groups only");
    }
}

void doctor_inotify(const struct config *config, struct doctor_answer *answer)
{
    int64_t watches = 0;
    int fd = inotify_init1(IN_CLOEXEC);

    if (fd < 0) {
        doctor_say(answer, DOCTOR_LIMITED, "no watch can be made: %s", strerror(errno));
        doctor_advise(answer, "as root: sysctl fs.inotify.max_user_instances=512");
        return;
    }
    (void)close(fd); /* Nothing was watched. */
    (void)doctor_read_number("/proc/sys/fs/inotify/max_user_watches", &watches);
    doctor_say(answer, DOCTOR_OK, "%lld watches a user", (long long)watches);
}
