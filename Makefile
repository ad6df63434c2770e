# Two commands do all the set-up: `make demo` shows the metric at work, `make test` runs the tests.
PYTHON ?= python3
VENV := .venv
PARITY := .venv-parity
STAMP := $(VENV)/.installed
# Each file is run whole by one process. A process that hangs is ended (pyproject.toml), and the run ends early.
EACH_CORE := -n auto --dist loadfile --no-loadscope-reorder --max-worker-restart 0

.PHONY: demo test test-elsewhere docs compact parity clean

demo: $(STAMP)
	$(VENV)/bin/python -m demo.demo --output demo_output

test: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest $(EACH_CORE)

# The suite once more as it is on another machine: a long path with a space for its files, another home folder, colours, another
# time zone, and a locale that knows ASCII alone.
test-elsewhere: $(STAMP)
	elsewhere="$$(mktemp -d)/a folder whose name is long enough to break lines that fitted elsewhere and has spaces" && \
	mkdir -p "$$elsewhere/home" && \
	HOME="$$elsewhere/home" FORCE_COLOR=1 GITHUB_ACTIONS=true TZ=Asia/Kathmandu LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 \
	COLUMNS=60 $(VENV)/bin/pytest $(EACH_CORE) --color=no --basetemp "$$elsewhere/pytest"

# The pages of docs/ as a site: open site/index.html. Needs no network once the environment is there.
docs: $(STAMP)
	$(VENV)/bin/mkdocs build --strict

# Trains the embedded default again, from its published parts: make compact DATA=folder-of-AGIQA-3K
# (photographs come from Debian's archive, by apt-get)
compact: $(STAMP)
	$(VENV)/bin/pip install --quiet --requirement requirements/compact.txt
	$(VENV)/bin/python -m recipes.compact --data $(DATA)

# Runs image-reward itself, in an environment of its own, and compares our BLIP and our scores with it.
parity: $(STAMP) $(PARITY)/.installed
	$(PARITY)/bin/python -W ignore scripts/parity_imagereward.py golden $(PARITY)/golden.npz
	$(VENV)/bin/python scripts/parity_imagereward.py compare $(PARITY)/golden.npz

$(PARITY)/.installed: requirements/imagereward.txt
	$(PYTHON) -m venv $(PARITY)
	$(PARITY)/bin/pip install --quiet --requirement requirements/imagereward.txt
	touch $@

$(STAMP): setup.py requirements/test.txt requirements/docs.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --editable . --requirement requirements/test.txt
	touch $@

clean:
	rm -rf $(VENV) $(PARITY) build dist *.egg-info demo_output site
