# SPDX-License-Identifier: Apache-2.0
# make run     build and watch this machine at http://127.0.0.1:7070
# make test    everything that proves it, with sanitizers
# make bench   [ONLY=name] speed and size beside the peers -> bench/RESULTS.md
# make bench-timer   what one timer of libsonde costs, as timer_vs_clock_ratio=…
# make fuzz    libFuzzer on every parser of foreign bytes (SECONDS_EACH=60)
# make soak    [HOURS=8] under load: growth, leaks, drift
# make format  clang-format over everything in C
# make install PREFIX=/usr/local
.POSIX:
.PHONY: all run build test bench bench-timer fuzz soak format install clean packages

PREFIX = /usr/local
SECONDS_EACH = 60
HOURS = 1
NINJA = ninja

all: build

run: build
	build/sonde serve

build: web/node_modules/uplot/package.json
	@tools/configure.sh build -Dbuildtype=release -Db_lto=true -Dtests=false -Dprefix=$(PREFIX)
	@$(NINJA) -C build/meson
	@ln -sf meson/src/sonde build/sonde

packages:
	@tools/install_packages.sh build

web/node_modules/uplot/package.json: web/package-lock.json | packages
	@npm ci --prefix web --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

test: web/node_modules/uplot/package.json
	@tools/install_packages.sh build test
	@python3 tools/run_tests.py

bench: build
	@tools/install_packages.sh build test bench
	@python3 bench/run.py $(ONLY)

bench-timer: build
	@$(NINJA) -C build/meson bench/bench_timer >build/bench_timer.log || { cat build/bench_timer.log; exit 1; }
	@build/meson/bench/bench_timer

fuzz: web/node_modules/uplot/package.json
	@tools/install_packages.sh build test
	@tools/fuzz.sh $(SECONDS_EACH)

soak: build
	@tools/install_packages.sh build test
	@python3 bench/soak.py --hours $(HOURS)

format:
	@git ls-files '*.c' '*.h' | xargs clang-format-14 -i

install: build
	@meson install -C build/meson --no-rebuild

clean:
	rm -rf build build-*
