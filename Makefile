# What takes more than one command. ENV is an environment of modeldispatch.yaml.
ENV ?= prod
# Without these flags a function is twice the size, and linked to the C library of the machine.
FLAGS = -trimpath -ldflags=-s -tags=lambda.norpc -buildvcs=false

.PHONY: build deploy check

build:
	go run . build -e $(ENV)
	CGO_ENABLED=0 GOFLAGS='$(FLAGS)' sam build

deploy: build
	sam deploy --config-env $(ENV)

check:
	.ci/run
