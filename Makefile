# One command per task; continuous integration runs the same ones.
PYTHON ?= python

.PHONY: help develop format lint deny advisories workflows rust test clean-environment wheel source clean-image \
	numpy-alone release-check check slow adapters browser site cluster bench bench-quick bench-peers limits against \
	odd-place claims demo-set tutorial toy-policy aarch64 x86-64 fuzz asan scalar

help:  ## Show this list.
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

develop:  ## Build the extension into the active virtual environment, with what tests need.
	$(PYTHON) -m pip install --editable '.[test]'

format:  ## Format everything.
	cargo fmt
	cargo fmt --manifest-path fuzz/Cargo.toml
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

lint:  ## Formats, lints, types, stubs and the list of licenses.
	cargo fmt --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo clippy --workspace --all-targets -- -D warnings
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(PYTHON) scripts/check_docstrings.py
	$(PYTHON) -m mypy.stubtest negmine._native --mypy-config-file pyproject.toml
	$(PYTHON) scripts/licenses.py --check

deny:  ## Licenses, sources and versions of the crates (needs `cargo install --locked cargo-deny`).
	cargo deny --locked --all-features check bans licenses sources

advisories:  ## Known vulnerabilities of the crates, from a database that is downloaded.
	cargo deny --locked --all-features check advisories

workflows:  ## The public workflows: their schema, and what they would allow an attacker.
	$(PYTHON) -m pip install --quiet 'zizmor>=1.32,<2' 'check-jsonschema>=0.39'
	zizmor --quiet --offline --persona pedantic .github
	check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml

rust:  ## Rust tests.
	cargo nextest run --workspace
	cargo test --workspace --doc

test:  ## Python tests.
	$(PYTHON) -m pytest -n 2

clean-environment:  ## Build the wheel, or take WHEEL, and use it where there is only NumPy.
	PYTHON=$(PYTHON) scripts/clean_environment.sh $(WHEEL)

wheel:  ## Build the wheel of a release into dist/ and check it; `scripts/wheel.sh` says for which systems.
	PYTHON=$(PYTHON) scripts/wheel.sh dist

source:  ## Build the source distribution of a release into dist/ and check it.
	PYTHON=$(PYTHON) scripts/source.sh dist

clean-image:  ## Use WHEEL in an image with the oldest glibc that it names (needs Docker).
	scripts/clean_image.sh $(WHEEL)

numpy-alone:  ## Python tests that need NumPy alone, for Pythons for which other packages have no wheels.
	$(PYTHON) -m pip install --editable . hypothesis pytest pytest-timeout pytest-xdist
	$(PYTHON) -m pytest -n 2 --ignore tests/integrations

release-check:  ## Is everything ready for the release TAG: versions, changelog, licenses?
	$(PYTHON) scripts/release_check.py $(TAG)

check: lint rust test clean-environment  ## All of the above.

slow:  ## The long suites: soak, many kills, wide property tests.
	HYPOTHESIS_PROFILE=slow $(PYTHON) -m pytest -m 'slow or not slow'
	PROPTEST_CASES=20000 cargo nextest run --release -p negmine-core -p negmine-kernels

adapters:  ## Tests of adapters whose packages `test` leaves out: PyKEEN's pipeline, and a step of TRL's DPO trainer.
	$(PYTHON) -m pip install --editable '.[test,pykeen]' 'trl>=1.0'
	$(PYTHON) -m pytest -m 'slow or not slow' tests/integrations/test_pykeen.py tests/integrations/test_trl.py

browser:  ## Tests of the page of `negmine inspect` in headless Chromium, which must be installed.
	$(PYTHON) -m pip install playwright
	$(PYTHON) -m pytest -m slow tests/inspect/test_browser.py

site:  ## The documentation site, built strictly and offline by two builders, and read in headless Chromium if installed.
	$(PYTHON) -m pip install '.[docs]'
	PYTHON=$(PYTHON) scripts/site.sh
	$(PYTHON) -m pytest -m slow tests/docs/test_site_browser.py

cluster:  ## Tests of mining on Ray, and of the recipe for Spark where Java is installed.
	$(PYTHON) -m pip install --editable '.[test,ray]' pyspark
	$(PYTHON) -m pytest -m 'slow or not slow' -n 0 tests/integrations/test_ray.py tests/docs/test_examples_clusters.py

bench:  ## Criterion benchmarks of kernels and core.
	cargo bench -p negmine-benches

bench-quick:  ## Benchmarks against peers at their smallest size: do they run, and are the answers right?
	for script in search panorama clusters engine margin mining batches sampling synthesis losses live_search negatives hnsw torch_index growth grouped; do \
		$(PYTHON) benches/python/$$script.py --quick || exit 1; done
	$(PYTHON) benches/python/dataloader.py --rows 2000 --rounds 1 --workers --refresh
	$(PYTHON) benches/python/sdim.py --no-compile --rounds 1 --case 'short: 50 x 1 x 64'
	$(PYTHON) benches/python/sketches.py --rounds 1 --sets 20

bench-peers:  ## Compare with other libraries at pinned versions, and leave a record in benches/record (BENCH=--quick: small).
	$(PYTHON) -m venv target/peers
	target/peers/bin/python -m pip install --quiet --requirement benches/python/requirements-compare.txt .
	target/peers/bin/python benches/python/compare.py $(BENCH)

limits:  ## Measure the limits of seconds and bytes that the documentation states.
	for script in scripts/limits/*.py; do echo "== $$script"; $(PYTHON) $$script || exit 1; done

against:  ## Compare this tree's speed with that of REVISION.
	$(PYTHON) benches/python/against.py $(REVISION)

odd-place:  ## Run the suite with Ctrl-C ignored, as nohup has it, in a path with spaces and non-ASCII letters.
	PYTHON=$(PYTHON) scripts/odd_place.sh

CLAIMS = in_batch_neighbors cluster_batches topic_batches sdim_ml100k margins policies refreshes losses teachers doubts \
	choices headline recommenders clicks knowledge_graphs imbalance bad_pairs skills

claims:  ## Run the claims whose sources have changed (real data: NEGMINE_DATA), and write the table of docs/claims.md.
	for script in $(CLAIMS); do $(PYTHON) benches/claims/$$script.py || exit 1; done
	$(PYTHON) benches/claims/claim.py --write

demo-set:  ## Make the demo set again (Debian's wordnet-base and a packaged MiniLM).
	$(PYTHON) scripts/make_demo_set.py --out python/negmine/demo/data

tutorial:  ## Replay docs/tutorial.md from an empty environment, with outputs as shown.
	PYTHON=$(PYTHON) scripts/tutorial.sh

toy-policy:  ## Add the policy of docs/extend/policy.md to a clone, build it and run its tests.
	PYTHON=$(PYTHON) scripts/toy_policy.sh

aarch64:  ## Cross-build for 64-bit ARM and test under QEMU on three models of processor (Debian on x86-64).
	PYTHON=$(PYTHON) scripts/aarch64.sh

x86-64:  ## Test the instruction sets of other x86-64 processors on models that Bochs emulates (Debian on x86-64).
	PYTHON=$(PYTHON) scripts/x86_64.sh

fuzz:  ## Run every fuzz target for RUNS executions (300,000 by default; nightly toolchain).
	PYTHON=$(PYTHON) scripts/fuzz.sh $(RUNS)

asan:  ## Run the tests of kernels and core under AddressSanitizer, which must see a planted mistake (nightly toolchain).
	scripts/asan.sh

scalar:  ## Run the tests of the core, and property tests from Python, on the portable instruction set.
	NEGMINE_ISA=scalar cargo nextest run -p negmine-core
	NEGMINE_ISA=scalar $(PYTHON) -m pytest tests/mining/test_oracle.py tests/mining/test_policies.py tests/search \
		tests/batches tests/behavior tests/clustering tests/sketches tests/selection tests/sampling tests/synthesis
