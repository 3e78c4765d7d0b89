# The short way in. CMake and Ninja do the work; every target does its own set-up.
BUILD ?= build
SAMPLE ?= samples/stapes.flac

.PHONY: all setup build run check check-data lint sanitize sanitize-threads install clean

all: build

setup:
	@scripts/setup.sh build

build: setup
	@cmake -S . -B $(BUILD) -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
	@cmake --build $(BUILD)

run: build
	@$(BUILD)/stapes transcribe --progress none --timings $(SAMPLE)

check: build
	@ctest --test-dir $(BUILD) --output-on-failure

# Needs recordings that are not in the repository: $$STAPES_DATA, else ../shared/data.
check-data: build
	@scripts/check_data.py --stapes $(BUILD)/stapes $(if $(SUBSET),--subset $(SUBSET))

# Memory and undefined-behaviour errors, then data races, over every test that is a program.
SANITIZE = cmake -S . -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo

sanitize: setup
	@$(SANITIZE) -B build-asan -DSTAPES_SANITIZE=address,undefined >/dev/null
	@cmake --build build-asan
	@ctest --test-dir build-asan --output-on-failure -LE '^(cli|style)$$'

sanitize-threads: setup
	@$(SANITIZE) -B build-tsan -DSTAPES_SANITIZE=thread >/dev/null
	@cmake --build build-tsan
	@ctest --test-dir build-tsan --output-on-failure -R 'test_thread|test_concurrency|test_gemm|test_attention'

lint: build
	@scripts/setup.sh lint
	@scripts/lint.sh $(BUILD)

install: build
	@cmake --install $(BUILD)

clean:
	@rm -rf $(BUILD) build-*
