# make demo, make test: each alone, from a fresh clone, on a machine with Python 3.10 to 3.13, make and g++.
# make PYTHON=python3.12 ... chooses the interpreter of .venv; versions are pinned in config/requirements.txt.

VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
DONE := $(VENV)/.setup
PINS := config/requirements.txt
MESSAGES := $(wildcard msg/CMakeLists.txt msg/package.xml msg/*/*)
INTERBOTIX := $(wildcard test/interbotix_xs_msgs/CMakeLists.txt test/interbotix_xs_msgs/*/*)
PYTEST := $(BIN)/python -m pytest
PYTHONS := $(PYTHON) python3 python3.13 python3.12 python3.11 python3.10

# A sourced ROS installation or another environment would otherwise be found before this one.
unexport PYTHONPATH AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE
export PATH := $(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# $(call build_interfaces,SOURCE,NAME): an interface package into .venv.
build_interfaces = cmake -S $(1) -B build/$(2) -DCMAKE_INSTALL_PREFIX=$(VENV) -DCMAKE_PREFIX_PATH=$(VENV) \
	-DPython3_EXECUTABLE=$(BIN)/python -DBUILD_TESTING=OFF >$(DONE)/$(2).log 2>&1 \
	&& AMENT_PREFIX_PATH=$(VENV) cmake --build build/$(2) --parallel --target install >>$(DONE)/$(2).log 2>&1 \
	|| { tail -n 40 $(DONE)/$(2).log; exit 1; }

.PHONY: help setup xs_sim demo test test-all lint prerequisites clean
.NOTPARALLEL:

help:
	@echo "make setup     install what is missing, make .venv, build speedtune_msgs into it"
	@echo "make xs_sim    set up, and build what the simulated Interbotix stack needs"
	@echo "make demo      set up, run the pipeline in simulation at 1x and faster, write a report"
	@echo "make test      set up, run the tests"
	@echo "make test-all  the slow tests too"
	@echo "make lint      ruff and mypy"
	@echo "make clean     remove .venv and everything built (runs/ stays)"

setup: prerequisites $(DONE)/links

demo: setup
	@$(BIN)/speedtune demo

xs_sim: setup $(DONE)/interbotix_xs_msgs

test: xs_sim
	@$(PYTEST)

test-all: xs_sim
	@$(PYTEST) -m "slow or not slow"

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/mypy

prerequisites:
	@if [ ! -e $(DONE)/prerequisites ] && ! command -v python3 >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq; apt-get install -qq -y python3 python3-venv python3-dev; fi
	@if [ ! -e $(DONE)/prerequisites ]; then \
		python=$$($(find_python)); \
		if [ -z "$$python" ]; then echo "missing: Python 3.10 to 3.13;" \
			"on Debian or Ubuntu: sudo apt-get install python3 python3-venv python3-dev"; exit 1; fi; \
		$$python -m speedtune_ros.prerequisites --install; fi

# The first interpreter for which there are wheels.
find_python = for python in $(PYTHONS); do \
	if $$python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; \
	then command -v $$python; break; fi; done

$(DONE)/prerequisites:
	@echo "== .venv"
	@$$($(find_python)) -m venv $(VENV)
	@mkdir -p $(DONE) && touch $@

# gym-aloha alone: its own requirements are pinned beside it, where this Python has them.
$(DONE)/wheels: $(PINS) | $(DONE)/prerequisites
	@echo "== packages of $(PINS) (a minute or two)"
	@$(BIN)/python -m pip install --quiet $$(grep -E '^(pip|setuptools|wheel)==' $(PINS))
	@$(BIN)/python -m pip install --quiet --no-deps "$$(grep '^gym-aloha==' $(PINS))"
	@grep -v '^gym-aloha==' $(PINS) >$(DONE)/requirements.txt
	@$(BIN)/python -m pip install --quiet -r $(DONE)/requirements.txt
	@$(BIN)/python -m speedtune_ros.prefix cmake
	@touch $@

$(DONE)/messages: $(MESSAGES) $(DONE)/wheels
	@echo "== speedtune_msgs (half a minute)"
	@$(call build_interfaces,msg,msg)
	@touch $@

# What a robot's system brings itself: for tests and for the simulated robot alone.
$(DONE)/interbotix_xs_msgs: $(INTERBOTIX) $(DONE)/wheels
	@echo "== interbotix_xs_msgs for tests (half a minute)"
	@$(call build_interfaces,test/interbotix_xs_msgs,interbotix_xs_msgs)
	@touch $@

$(DONE)/package: setup.py setup.cfg package.xml speedtune_ros/prefix.py $(DONE)/messages
	@echo "== speedtune_ros"
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@

$(DONE)/links: $(DONE)/package $(wildcard launch/* config/*)
	@$(BIN)/python -m speedtune_ros.prefix link
	@touch $@

clean:
	rm -rf .venv build install log .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find speedtune_ros test launch -name __pycache__ -prune -exec rm -rf {} +
