# SPDX-License-Identifier: Apache-2.0
"""libsonde as its user has it: installed under a prefix, found by pkg-config, compiled into the worked
example in C and C++, shared and static, run, and looked at by valgrind."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from sonde import ROOT

EXAMPLE = os.path.join(ROOT, "examples/c_program.c")
OPTIONS = ["-Dbuildtype=release", "-Dtests=false"]
LIBRARIES = ["src/libsonde.a", "src/libsonde.so.0.1.0"]

# What the pieces of the guide have around them.
GUIDE_START = """
#include <sonde/sonde.h>
#include <stdlib.h>

static struct sonde *sonde;
static void *documents, *request, *outgoing, *pool;
bool rerank(void *documents);
void work(void);
void measure_pool(struct sonde *sonde, void *pool);
const char *get_header(void *request, const char *name);
void put_header(void *request, const char *name, const char *value);
void tell(void *self, const char *operation, const char *sentence);

"""

LOADER = """
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/wait.h>

/* Opens the library, uses it on a thread that lives longer than the library is open, and forks. */
static void *(*operation)(void *, const char *);
static void (*record)(void *, long, int);
static void *sonde;

static void *use(void *argument)
{
    record(operation(sonde, "x"), 1000, 0);
    while (*(volatile int *)argument == 0)
        usleep(1000);
    return NULL;
}

int main(int argc, char **argv)
{
    volatile int closed = 0;
    pthread_t thread;
    int status = 1;
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    void *(*open)(void *) = (void *(*)(void *))dlsym(library, "sonde_open");
    void (*close)(void *) = (void (*)(void *))dlsym(library, "sonde_close");
    operation = (void *(*)(void *, const char *))dlsym(library, "sonde_operation");
    record = (void (*)(void *, long, int))dlsym(library, "sonde_record");
    sonde = open(NULL);
    if (argc < 2 || pthread_create(&thread, NULL, use, (void *)&closed) != 0)
        return 1;
    usleep(50000);
    close(sonde);
    dlclose(library);
    if (fork() == 0)
        _exit(0);
    wait(&status);
    closed = 1;
    pthread_join(thread, NULL);
    puts("still here");
    return status;
}
"""


def run(command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False, timeout=300, **options)


def need(name):
    path = shutil.which(name)
    if path is None:
        raise unittest.SkipTest(f"{name} is not installed")
    return path


class Libsonde(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for name in ("meson", "ninja", "pkg-config", "gcc"):
            need(name)
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="sonde-libsonde-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        # Without sanitizers, as it is shipped; kept for the next time.
        build = os.path.join(ROOT, "build-plain/meson")
        for command in ([os.path.join(ROOT, "tools/configure.sh"), "build-plain", *OPTIONS],
                        ["ninja", "-C", build, *LIBRARIES],
                        ["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--tags",
                         "libsonde,devel", "--destdir", cls.folder]):
            done = run(command)
            if done.returncode != 0:
                raise AssertionError((done.stdout + done.stderr)[-3000:])
        cls.prefix = next(path.parent.parent.parent
                          for path in cls.folder.rglob("include/sonde/sonde.h"))
        cls.libraries = next(cls.prefix.rglob("libsonde.so")).parent
        cls.environment = {**os.environ, "LD_LIBRARY_PATH": str(cls.libraries),
                           "PKG_CONFIG_PATH": str(cls.libraries / "pkgconfig"),
                           "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS": "1"}
        cls.environment.pop("SONDE_ENDPOINT", None)

    def flags(self, *what):
        done = run(["pkg-config", f"--define-variable=prefix={self.prefix}", *what, "sonde"],
                   env=self.environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.split()

    def compile(self, name, compiler, *flags):
        program = self.folder / name
        done = run([*compiler, "-Wall", "-Wextra", "-Wpedantic", "-Werror", EXAMPLE, "-o", program,
                    *flags, "-lpthread"])
        self.assertEqual(done.returncode, 0, f"{name}: {done.stderr}")
        return program

    def check_output(self, done, name):
        self.assertEqual(done.returncode, 2, f"{name}: {done.stdout} {done.stderr}")
        for operation in ("answer", "retrieval", "reranking", "chat gpt-4o"):
            self.assertRegex(done.stdout, rf"(?m)^. {operation} +\d+", name)
        self.assertIn("Operation 'answer' success rate (97.0%) below target (99.0%)\n", done.stdout)
        self.assertRegex(done.stdout, r"answers +counter +194\b")
        self.assertNotIn("\033", done.stdout, "colour, though this is no terminal")

    def test_the_example_compiles_and_runs_in_c_and_c_plus_plus_shared_and_static(self):
        compilers = {"gcc": ["gcc", "-std=c17", "-D_GNU_SOURCE"],
                     "clang": ["clang-14", "-std=c17", "-D_GNU_SOURCE"],
                     "g++": ["g++", "-std=c++17", "-x", "c++"]}
        static = [flag if flag != "-lsonde" else "-l:libsonde.a"
                  for flag in self.flags("--cflags", "--static", "--libs")]
        tried = 0
        for name, compiler in compilers.items():
            if shutil.which(compiler[0]) is None:
                continue
            tried += 1
            # What -x says holds for all that follows, so it is taken back before the libraries.
            plain = ["-x", "none"] if "-x" in compiler else []
            for kind, flags in (("shared", self.flags("--cflags", "--libs")), ("static", static)):
                program = self.compile(f"{name}-{kind}", compiler, *plain, *flags)
                linked = run(["ldd", program], env=self.environment).stdout
                self.assertEqual("libsonde.so" in linked, kind == "shared", linked)
                self.check_output(run([program], env=self.environment), f"{name} {kind}")
        self.assertGreater(tried, 0)

    def test_an_exception_of_c_plus_plus_fails_what_it_leaves_and_passes_on(self):
        need("g++")
        source = self.folder / "throws.cc"
        source.write_text(r"""
extern "C" {
#include <sonde/sonde.h> /* As hosts do that do not know that it does so by itself. */
}
#include <stdexcept>

static void work(struct sonde *sonde, bool throws)
{
    SONDE_SCOPE(sonde, "scope");
    SONDE_SCOPE_AS(timer, sonde, "named");
    SONDE_SPAN_SCOPE(span, sonde, "span");
    sonde_timer_note(&timer, "key", "value");
    sonde_span_note(&span.span, "key", "value");
    if (throws)
        throw std::runtime_error("as meant");
}

struct tidy { /* A block entered while an exception passes is not left by it. */
    struct sonde *sonde;
    ~tidy() { work(sonde, false); }
};

int main()
{
    struct sonde *sonde = sonde_open(NULL);
    int caught = 0;

    work(sonde, false);
    try {
        struct tidy tidy = {sonde};
        work(sonde, true);
    } catch (const std::runtime_error &) {
        caught++;
    }
    const char *const names[] = {"scope", "named", "span"};
    for (int i = 0; i < 3; i++) {
        struct sonde_stats stats;
        sonde_operation_stats(sonde_operation(sonde, names[i]), &stats);
        printf("%s %d %d\n", names[i], (int)stats.count, (int)stats.failures);
    }
    sonde_close(sonde);
    return caught == 1 ? 0 : 1;
}
""")
        for standard in ("c++11", "c++17", "c++20"):
            program = self.folder / f"throws-{standard}"
            done = run(["g++", f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Wno-deprecated",
                        "-Werror", source, "-o", program, *self.flags("--cflags", "--libs")])
            self.assertEqual(done.returncode, 0, done.stderr)
            done = run([program], env=self.environment)
            self.assertEqual((done.returncode, done.stdout),
                             (0, "scope 3 1\nnamed 3 1\nspan 3 1\n"), standard)

    def test_the_command_in_the_head_of_the_example_is_the_one_that_works(self):
        with open(EXAMPLE, encoding="utf-8") as file:
            command = re.search(r"^ \*\s+(cc c_program\.c .*)$", file.read(), re.M)[1]
        folder = self.folder / "head"
        folder.mkdir()
        shutil.copy(EXAMPLE, folder)
        wrapper = folder / "pkg-config"
        wrapper.write_text(f'#!/bin/sh\nexec {need("pkg-config")} '
                           f'--define-variable=prefix={self.prefix} "$@"\n')
        wrapper.chmod(0o755)
        environment = {**self.environment, "PATH": f"{folder}:{os.environ['PATH']}"}
        done = run(["sh", "-c", command], cwd=folder, env=environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check_output(run([folder / "c_program"], env=self.environment), "by its own command")

    def test_what_the_guide_shows_compiles(self):
        with open(os.path.join(ROOT, "docs/manual/libsonde.md"), encoding="utf-8") as file:
            pieces = re.findall(r"^```c\n(.*?)^```$", file.read(), re.M | re.S)
        self.assertGreater(len(pieces), 8)
        text = GUIDE_START
        for number, piece in enumerate(pieces):
            if "int main" in piece:
                source = self.folder / f"guide-{number}.c"
                source.write_text(piece)
                program = self.folder / f"guide-{number}"
                done = run(["gcc", "-Wall", "-Werror", source, "-o", program,
                            *self.flags("--cflags", "--libs")])
                self.assertEqual(done.returncode, 0, done.stderr)
                told = run([program], env=self.environment)
                self.assertRegex(told.stdout, r"✗ Operation 'retrieval' P95 \(\d+\.\dms\) exceeds "
                                 r"target \(1\.0ms\)")
            else:
                text += f"static void piece_{number}(void)\n{{\n{piece}}}\n\n"
        for language in ("c", "c++"):
            done = run(["gcc", "-x", language, "-fsyntax-only", "-Wall", "-Werror",
                        "-Wno-unused-function", *self.flags("--cflags"), "-"], input=text)
            self.assertEqual(done.returncode, 0, f"{language}: {done.stderr}")

    def test_valgrind_finds_nothing(self):
        valgrind = need("valgrind")
        program = self.compile("for-valgrind", ["gcc", "-g"], *self.flags("--cflags", "--libs"))
        # With an endpoint where nobody listens, so that the sender has its say, too.
        done = run([valgrind, "--error-exitcode=99", "--leak-check=full",
                    "--show-leak-kinds=definite,possible", "--errors-for-leak-kinds=definite,possible",
                    program],
                   env={**self.environment, "SONDE_ENDPOINT": "http://127.0.0.1:9",
                        "SONDE_LEVEL": "detailed"})
        self.assertEqual(done.returncode, 2, done.stderr[-3000:])
        self.assertIn("ERROR SUMMARY: 0 errors", done.stderr)
        self.assertIn("Slowest calls", done.stdout)

    def test_only_its_own_names_are_seen(self):
        need("nm")
        shared = run(["nm", "-D", "--defined-only", self.libraries / "libsonde.so"]).stdout
        merged = run(["nm", "-g", "--defined-only", self.libraries / "libsonde.a"]).stdout
        for listed in (shared, merged):
            names = [line.split()[2] for line in listed.splitlines() if len(line.split()) == 3]
            self.assertGreater(len(names), 40)
            self.assertEqual([name for name in names if not name.startswith("sonde_")], [])

    def test_a_host_may_close_the_library_while_threads_live(self):
        source = self.folder / "loader.c"
        source.write_text(LOADER)
        program = self.folder / "loader"
        done = run(["gcc", source, "-o", program, "-ldl", "-lpthread"])
        self.assertEqual(done.returncode, 0, done.stderr)
        done = run([program, self.libraries / "libsonde.so"])
        self.assertEqual((done.returncode, done.stdout), (0, "still here\n"), done.stderr)


if __name__ == "__main__":
    unittest.main()
