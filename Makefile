# What takes more than one command. ENV is an environment of modeldispatch.yaml with a section in samconfig.toml; there is no
# default, so that nothing is deployed by mistake. SAM_FLAGS are more flags of sam deploy: where nobody answers,
# SAM_FLAGS='--no-confirm-changeset --no-fail-on-empty-changeset'.
sections = $(shell sed -n 's/^\[\(.*\)\.deploy\.parameters\].*/\1/p' samconfig.toml)
environment = $(or $(ENV),$(error ENV is missing: make $@ ENV=NAME; samconfig.toml has $(sections)))

# Without these flags a function is twice the size, and linked to the C library of the machine.
FLAGS = -trimpath -ldflags=-s -tags=lambda.norpc -buildvcs=false

.PHONY: build deploy check

build:
	go run . build -e $(environment)
	CGO_ENABLED=0 GOFLAGS='$(FLAGS)' sam build

deploy: build
	sam deploy --config-env $(environment) $(SAM_FLAGS)

check:
	.ci/run
