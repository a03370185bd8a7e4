# Two commands for a new user: `make demo` and `make test`. Both install what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test emulated lint install install-service evaluate gallery clean

demo: $(VENV)/.demo
	$(BIN)/edge-agent demo --out out/demo

test: $(VENV)/.test
	tools/install_test_needs.sh
	$(BIN)/python -m pytest -n 2 --dist loadfile --ignore=tests/emulated

# The packaged service in a computer in software: real kernel lines, a V4L2 camera, kills.
emulated: $(VENV)/.test
	tools/emulated/install.sh
	$(BIN)/python -m pytest tests/emulated

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: $(VENV)/.demo

# On a box: the agent as a systemd service. `make install-service BOARD=pi5` sets up the board too.
install-service:
	sudo tools/install_service.sh $(if $(BOARD),--board $(BOARD))

# For developers: measures everything on labelled material; renders the pictures of docs/gallery.md.
evaluate: $(VENV)/.test
	tools/install_test_needs.sh
	PYTHONPATH=tools $(BIN)/python -m evaluate

gallery: $(VENV)/.test
	tools/install_test_needs.sh
	PYTHONPATH=tools $(BIN)/python -m gallery

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "edge-agent needs Python 3.11 or newer: make PYTHON=python3.12 demo")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	@echo 'installing into $(VENV), about a minute'
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	@echo 'installing into $(VENV), about a minute'
	$(BIN)/python -m pip install --quiet --editable '.[demo,test]'
	touch $@

clean:
	rm -rf $(VENV) out build dist
