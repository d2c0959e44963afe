package sqs

import (
	"context"
	"database/sql"
	"maps"
	"strconv"

	"modeldispatch/internal/local/awsjson"
)

// The types of requests and responses in the files api_*.go have the field names of SQS's API.

// operations returns the API operations by name.
func (s *Server) operations() map[string]awsjson.Operation {
	return map[string]awsjson.Operation{
		"CreateQueue":                  awsjson.Handle(s.createQueue),
		"GetQueueUrl":                  awsjson.Handle(s.getQueueURL),
		"ListQueues":                   awsjson.Handle(s.listQueues),
		"DeleteQueue":                  awsjson.Handle(s.deleteQueue),
		"PurgeQueue":                   awsjson.Handle(s.purgeQueue),
		"GetQueueAttributes":           awsjson.Handle(s.getQueueAttributes),
		"SetQueueAttributes":           awsjson.Handle(s.setQueueAttributes),
		"SendMessage":                  awsjson.Handle(s.sendMessage),
		"SendMessageBatch":             awsjson.Handle(s.sendMessageBatch),
		"ReceiveMessage":               awsjson.Handle(s.receiveMessage),
		"DeleteMessage":                awsjson.Handle(s.deleteMessage),
		"DeleteMessageBatch":           awsjson.Handle(s.deleteMessageBatch),
		"ChangeMessageVisibility":      awsjson.Handle(s.changeMessageVisibility),
		"ChangeMessageVisibilityBatch": awsjson.Handle(s.changeMessageVisibilityBatch),
	}
}

type empty struct{}

type queueRequest struct{ QueueUrl string }

// withQueue finds the queue that a request names and calls f with it, in one transaction.
func (s *Server) withQueue(ctx context.Context, url string, f func(ctx context.Context, tx *sql.Tx, q queue) error) error {
	return s.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		q, err := s.findPublic(ctx, tx, url)
		if err != nil {
			return err
		}
		return f(ctx, tx, q)
	})
}

type createQueueRequest struct {
	QueueName  string
	Attributes map[string]string
}

type queueURL struct{ QueueUrl string }

func (s *Server) createQueue(ctx context.Context, in createQueueRequest) (queueURL, error) {
	if in.QueueName == "" {
		return queueURL{}, missingParameter("QueueName")
	}
	if err := checkName(in.QueueName); err != nil {
		return queueURL{}, err
	}
	err := s.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return s.createPublic(ctx, tx, in.QueueName, in.Attributes)
	})
	return queueURL{s.url(ctx, in.QueueName)}, err
}

func (s *Server) getQueueURL(ctx context.Context, in struct{ QueueName string }) (queueURL, error) {
	if in.QueueName == "" {
		return queueURL{}, missingParameter("QueueName")
	}
	err := s.withQueue(ctx, in.QueueName, func(context.Context, *sql.Tx, queue) error { return nil })
	return queueURL{s.url(ctx, in.QueueName)}, err
}

type listQueuesRequest struct {
	QueueNamePrefix string
	MaxResults      *int
	NextToken       string // the last name of the previous page
}

type listQueuesResponse struct {
	QueueUrls []string `json:",omitempty"`
	NextToken string   `json:",omitempty"`
}

func (s *Server) listQueues(ctx context.Context, in listQueuesRequest) (listQueuesResponse, error) {
	limit := 1000
	if in.MaxResults != nil {
		limit = *in.MaxResults
	}
	if limit < 1 || limit > 1000 {
		return listQueuesResponse{}, invalidParameter("Value %d for parameter MaxResults is invalid. "+
			"Reason: Must be >= 1 and <= 1000, if provided.", limit)
	}
	var names []string
	err := s.transact(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
		names, err = s.names(ctx, tx, in.QueueNamePrefix, in.NextToken, limit+1)
		return err
	})
	var out listQueuesResponse
	if len(names) > limit {
		names = names[:limit]
		if in.MaxResults != nil { // without MaxResults SQS returns a first page and no token
			out.NextToken = names[limit-1]
		}
	}
	for _, name := range names {
		out.QueueUrls = append(out.QueueUrls, s.url(ctx, name))
	}
	return out, err
}

func (s *Server) deleteQueue(ctx context.Context, in queueRequest) (empty, error) {
	var name string
	err := s.withQueue(ctx, in.QueueUrl, func(ctx context.Context, tx *sql.Tx, q queue) error {
		name = q.name
		return s.drop(ctx, tx, q)
	})
	if err == nil {
		s.wake(name) // waiting receivers return QueueDoesNotExist
	}
	return empty{}, err
}

func (s *Server) purgeQueue(ctx context.Context, in queueRequest) (empty, error) {
	err := s.withQueue(ctx, in.QueueUrl, func(ctx context.Context, tx *sql.Tx, q queue) error {
		if err := s.startPurge(q); err != nil {
			return err
		}
		return s.deleteAll(ctx, tx, q)
	})
	s.changed.raise()
	return empty{}, err
}

type getAttributesRequest struct {
	QueueUrl       string
	AttributeNames []string
}

type attributesResponse struct {
	Attributes map[string]string `json:",omitempty"`
}

func (s *Server) getQueueAttributes(ctx context.Context, in getAttributesRequest) (attributesResponse, error) {
	var all map[string]string
	err := s.withQueue(ctx, in.QueueUrl, func(ctx context.Context, tx *sql.Tx, q queue) error {
		counts, err := s.count(ctx, tx, q)
		all = s.describe(q, counts)
		return err
	})
	if err != nil {
		return attributesResponse{}, err
	}
	selected := map[string]string{}
	for _, name := range in.AttributeNames {
		value, has := all[name]
		switch {
		case name == "All":
			return attributesResponse{all}, nil
		case has:
			selected[name] = value
		case name != "RedrivePolicy" && !isStoredOnly(name):
			return attributesResponse{}, unknownAttribute(name)
		}
	}
	return attributesResponse{selected}, nil
}

// describe returns all attributes of a queue, as GetQueueAttributes names them.
func (s *Server) describe(q queue, c Counts) map[string]string {
	all := q.attributes()
	maps.Copy(all, map[string]string{
		"QueueArn":                              s.ARN(q.name),
		"CreatedTimestamp":                      strconv.FormatInt(q.created/1000, 10),
		"LastModifiedTimestamp":                 strconv.FormatInt(q.modified/1000, 10),
		"ApproximateNumberOfMessages":           strconv.Itoa(c.Visible),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(c.InFlight),
		"ApproximateNumberOfMessagesDelayed":    strconv.Itoa(c.Delayed),
	})
	return all
}

type setAttributesRequest struct {
	QueueUrl   string
	Attributes map[string]string
}

func (s *Server) setQueueAttributes(ctx context.Context, in setAttributesRequest) (empty, error) {
	if len(in.Attributes) == 0 {
		return empty{}, missingParameter("Attributes")
	}
	return empty{}, s.withQueue(ctx, in.QueueUrl, func(ctx context.Context, tx *sql.Tx, q queue) error {
		return s.updateSettings(ctx, tx, q, in.Attributes)
	})
}
