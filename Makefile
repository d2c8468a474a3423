# `make demo` and `make test` do everything on a fresh machine: they create .venv, install what is needed,
# build the extension, and do their job. What is done once is remembered by stamps in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export CXX
SHELL := bash
.SHELLFLAGS := -o pipefail -c

CXX_FILES := $(shell find csrc -name '*.cpp' -o -name '*.h')
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check

# $(call require,a command that must succeed,the sentence that is printed if it does not)
require = @{ $(1); } >/dev/null 2>&1 || { echo "convext: $(2)" >&2; exit 1; }

.PHONY: demo test test-slow test-all build bench lint format clean

demo: $(VENV)/.built $(VENV)/.demo-tools
	$(BIN)/python -m examples.demo

test: $(VENV)/.built $(VENV)/.tools $(VENV)/.demo-tools $(VENV)/.bench-tools
	$(BIN)/python -m pytest

# What takes many seconds a test: compilers, several processes, other people's models.
test-slow: $(VENV)/.built $(VENV)/.tools $(VENV)/.demo-tools $(VENV)/.bench-tools $(VENV)/.clients
	$(BIN)/python -m pytest -m slow

test-all: test test-slow

build: $(VENV)/.built

# A selection of a few minutes; benchmarks/README.md has the rest.
bench: $(VENV)/.built $(VENV)/.bench-tools
	$(BIN)/python -m benchmarks layers models overhead --seconds 0.2 --networks ResNet-50,MobileNetV2,TCN,PointNet \
		--json bench-output/results.json --plot bench-output --html bench-output/report.html

lint: $(VENV)/.tools $(VENV)/.bench-tools
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(CXX_FILES)

format: $(VENV)/.tools
	$(BIN)/ruff check --fix --show-fixes
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(CXX_FILES)

# Everything that was built or written by a run, but not the environment: for that, remove .venv too.
clean:
	rm -rf build dist *.egg-info demo-output bench-output convext/*.so convext/_build_info.py $(VENV)/.built
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# The environment, with what the build needs; convext itself is found where it is built, in this folder. PyTorch
# comes first and by its exact version: the extension works with no other.
$(VENV)/.torch:
	$(call require,test "$$(uname -sm)" = "Linux x86_64",it runs on Linux on x86-64 only; this is $$(uname -sm).)
	$(call require,$(PYTHON) -c 'import sys; sys.exit(sys.hexversion < 0x030b0000)',it needs Python 3.11 or newer as $(PYTHON); another is named by 'make PYTHON=...'.)
	$(call require,$(PYTHON) -c 'import venv; import ensurepip',$(PYTHON) cannot make virtual environments: install its venv module (Debian: python3-venv).)
	$(call require,$(PYTHON) -c 'import sysconfig; open(sysconfig.get_path("include") + "/Python.h")',$(PYTHON) lacks the header Python.h: install its development files (Debian: python3-dev).)
	$(call require,echo 'int main() {}' | $(CXX) -std=c++20 -fopenmp -x c++ - -o /dev/null,it needs a C++20 compiler with OpenMP and '$(CXX)' is none: install g++ 10 or newer; another is named by 'make CXX=...'.)
	@echo "convext: creating $(VENV) and installing PyTorch"
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) torch==2.13.0
	$(PIP_INSTALL) 'setuptools>=77' ninja numpy
	echo '$(CURDIR)' > $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/convext.pth
	touch $@

$(VENV)/.tools: requirements-dev.txt $(VENV)/.torch
	$(PIP_INSTALL) -r $<
	touch $@

$(VENV)/.clients: tests/requirements.txt $(VENV)/.torch
	$(PIP_INSTALL) -r $<
	touch $@

$(VENV)/.demo-tools: examples/requirements.txt $(VENV)/.torch
	$(PIP_INSTALL) -r $<
	touch $@

$(VENV)/.bench-tools: benchmarks/requirements.txt $(VENV)/.torch
	$(PIP_INSTALL) -r $<
	touch $@

$(VENV)/.built: $(CXX_FILES) setup.py pyproject.toml $(VENV)/.torch
	@echo "convext: building the extension (minutes the first time)"
	$(BIN)/python setup.py --quiet build_ext --inplace 2>&1 | sed -uE 's|^(\[[0-9/]+\]).* -c \S+/(csrc/\S+) .*|\1 \2|'
	touch $@
