package model

import (
	"cmp"
	"strings"
)

// Queue is an SQS queue that message triggers read.
type Queue struct {
	Name string // for a queue of the deployment as the trigger has it, which may be without the name of the deployment
	ARN  string // "" for a queue of the deployment
}

// ParseQueue reads the queue of a message trigger: the name of a queue of the deployment, or the ARN of any other queue.
func ParseQueue(text string) Queue {
	if !strings.HasPrefix(text, "arn:") {
		return Queue{Name: text}
	}
	return Queue{Name: text[strings.LastIndexByte(text, ':')+1:], ARN: text}
}

// String returns the queue as a trigger has it.
func (q Queue) String() string { return cmp.Or(q.ARN, q.Name) }

// In returns the queue with the name that it has in a deployment. A queue that is given by its ARN stays the same.
func (q Queue) In(deployment string) Queue {
	if q.ARN == "" {
		q.Name = NameIn(deployment, q.Name)
	}
	return q
}

// NameIn returns the name that a queue, or the task definition family of a model, has in a deployment.
func NameIn(deployment, name string) string { return deployment + "-" + name }
