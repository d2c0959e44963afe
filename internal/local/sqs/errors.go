package sqs

import (
	"errors"
	"fmt"
	"strings"

	"modeldispatch/internal/local/awsjson"
)

// An error has two names on the wire: its type, and the code that SQS used when it spoke the
// query protocol, which SDKs still report (AWS.SimpleQueueService.NonExistentQueue).

// modelled is an error of SQS's API model.
func modelled(name, code, format string, args ...any) *awsjson.Error {
	return &awsjson.Error{Type: "com.amazonaws.sqs#" + name, Query: code + ";Sender", Message: fmt.Sprintf(format, args...)}
}

// legacy is an error whose code has the prefix that most of SQS's own have.
func legacy(name, format string, args ...any) *awsjson.Error {
	return modelled(name, "AWS.SimpleQueueService."+name, format, args...)
}

// general is an error that every AWS service has, and no model names.
func general(name, code, format string, args ...any) *awsjson.Error {
	return &awsjson.Error{Type: "com.amazon.coral.service#" + name, Query: code + ";Sender", Message: fmt.Sprintf(format, args...)}
}

func noSuchQueue(name string) *awsjson.Error {
	return modelled("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "The specified queue %q does not exist.", name)
}

// isAbsent says whether err is that a queue does not exist.
func isAbsent(err error) bool {
	var aws *awsjson.Error
	return errors.As(err, &aws) && aws.Type == noSuchQueue("").Type
}

func invalidParameter(format string, args ...any) *awsjson.Error {
	return general("InvalidParameterValueException", "InvalidParameterValue", format, args...)
}

func missingParameter(name string) *awsjson.Error {
	return general("MissingRequiredParameterException", "MissingParameter", "The request must contain the parameter %s.", name)
}

func invalidAttribute(name, value, reason string) *awsjson.Error {
	return modelled("InvalidAttributeValue", "InvalidAttributeValue", "Invalid value %q for the attribute %s: %s.", value, name, reason)
}

func unknownAttribute(name string) *awsjson.Error {
	return modelled("InvalidAttributeName", "InvalidAttributeName", "Unknown Attribute %s.", name)
}

func unsupported(format string, args ...any) *awsjson.Error {
	return legacy("UnsupportedOperation", format, args...)
}

func badReceipt(receipt string) *awsjson.Error {
	return modelled("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", "The input receipt handle %q is invalid for this queue.", receipt)
}

// code is the error's name as a batch result reports it.
func code(err *awsjson.Error) string {
	name, _, _ := strings.Cut(err.Query, ";")
	return name
}
