# Targets that take more than one command: build, deploy and check.
#
# ENV names an environment of modeldispatch.yaml that has a section in samconfig.toml. It has no default, so that make
# deploys nothing by mistake. SAM_FLAGS adds flags to sam deploy. In CI, where sam deploy must not ask a question, use
# SAM_FLAGS='--no-confirm-changeset --no-fail-on-empty-changeset'.
sections = $(shell sed -n 's/^\[\(.*\)\.deploy\.parameters\].*/\1/p' samconfig.toml)
environment = $(or $(ENV),$(error ENV is missing: make $@ ENV=NAME; samconfig.toml has $(sections)))

# Without these flags a function's binary is twice as large and links dynamically to the build machine's C library.
FLAGS = -trimpath -ldflags=-s -tags=lambda.norpc -buildvcs=false

.PHONY: build deploy check

build:
	go run . compile -e $(environment)
	CGO_ENABLED=0 GOFLAGS='$(FLAGS)' sam build

deploy: build
	sam deploy --config-env $(environment) $(SAM_FLAGS)

check:
	.ci/run
