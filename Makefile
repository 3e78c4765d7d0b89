# The short way in. CMake and Ninja do the work; every target does its own set-up.
BUILD ?= build
SAMPLE ?= samples/stapes.flac

.PHONY: all setup build run check check-data lint sanitize install clean

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

install: build
	@cmake --install $(BUILD)

clean:
	@rm -rf $(BUILD) build-*
