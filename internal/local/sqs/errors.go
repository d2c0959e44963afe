package sqs

import (
	"errors"
	"fmt"
	"strings"

	"modeldispatch/internal/local/awsjson"
)

// An SQS error has two names in a response: its type, and the code that it had in the older query
// protocol, such as AWS.SimpleQueueService.NonExistentQueue. SDKs still report that code.

// modelError returns an error that SQS's API model defines.
func modelError(name, code, format string, args ...any) *awsjson.Error {
	return &awsjson.Error{Type: "com.amazonaws.sqs#" + name, Query: code + ";Sender", Message: fmt.Sprintf(format, args...)}
}

// prefixedError returns an error of SQS's API model whose code is its name with SQS's usual prefix.
func prefixedError(name, format string, args ...any) *awsjson.Error {
	return modelError(name, "AWS.SimpleQueueService."+name, format, args...)
}

// commonError returns an error that all AWS services share and that no API model defines.
func commonError(name, code, format string, args ...any) *awsjson.Error {
	return &awsjson.Error{Type: "com.amazon.coral.service#" + name, Query: code + ";Sender", Message: fmt.Sprintf(format, args...)}
}

func noSuchQueue(name string) *awsjson.Error {
	return modelError("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "The specified queue %q does not exist.", name)
}

// isNoSuchQueue reports whether err says that a queue does not exist.
func isNoSuchQueue(err error) bool {
	var aws *awsjson.Error
	return errors.As(err, &aws) && aws.Type == noSuchQueue("").Type
}

func invalidParameter(format string, args ...any) *awsjson.Error {
	return commonError("InvalidParameterValueException", "InvalidParameterValue", format, args...)
}

func missingParameter(name string) *awsjson.Error {
	return commonError("MissingRequiredParameterException", "MissingParameter", "The request must contain the parameter %s.", name)
}

func invalidAttribute(name, value, reason string) *awsjson.Error {
	return modelError("InvalidAttributeValue", "InvalidAttributeValue", "Invalid value %q for the attribute %s: %s.", value, name, reason)
}

func unknownAttribute(name string) *awsjson.Error {
	return modelError("InvalidAttributeName", "InvalidAttributeName", "Unknown Attribute %s.", name)
}

func unsupported(format string, args ...any) *awsjson.Error {
	return prefixedError("UnsupportedOperation", format, args...)
}

func invalidReceipt(receipt string) *awsjson.Error {
	return modelError("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", "The input receipt handle %q is invalid for this queue.", receipt)
}

// queryCode returns the error's code in the query protocol, which batch results report.
func queryCode(err *awsjson.Error) string {
	name, _, _ := strings.Cut(err.Query, ";")
	return name
}
