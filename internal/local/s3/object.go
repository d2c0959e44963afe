package s3

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"modeldispatch/internal/model"
)

// The values of `reason` in S3's events.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
const (
	PutObject               = "PutObject"
	CopyObject              = "CopyObject"
	CompleteMultipartUpload = "CompleteMultipartUpload"
	PostObject              = "POST Object"
)

// Object describes an object that a client has created. Options.OnCreated receives it.
type Object struct {
	Bucket string
	Key    string // not URL-encoded
	ETag   string // the MD5 of the content in hex digits, without quotes
	// VersionID is always empty: the local S3 has no versioning.
	VersionID string
	// Sequencer has 16 hex digits. It is greater for each later object, also after a restart.
	Sequencer string
	Size      int64     // in bytes
	Reason    string    // one of the constants above
	Time      time.Time // of the write, in UTC
}

// partition is the AWS partition in the ARNs of the local stack.
const partition = "aws"

// Event returns the "Object Created" event that S3 sends to EventBridge for the object, as JSON. It depends only on the
// object, the account and the region: the same object gives the same event, including the event's id. The key is not
// URL-encoded, unlike in S3's notifications to queues.
func (o Object) Event(account, region string) json.RawMessage {
	id := uuid.NewSHA1(uuid.NameSpaceURL, []byte(model.ObjectURI{Bucket: o.Bucket, Key: o.Key}.String()+"#"+o.Sequencer))
	text, err := json.Marshal(event{
		Version: "0", ID: id.String(), DetailType: "Object Created", Source: "aws.s3", Account: account,
		Time: o.Time.UTC().Format(time.RFC3339), Region: region, Resources: []string{"arn:" + partition + ":s3:::" + o.Bucket},
		Detail: detail{
			Version: "0", Bucket: eventBucket{o.Bucket},
			Object:    eventObject{Key: o.Key, Size: o.Size, ETag: o.ETag, VersionID: o.VersionID, Sequencer: o.Sequencer},
			RequestID: o.Sequencer, Requester: account, SourceIP: "127.0.0.1", Reason: o.Reason,
		},
	})
	if err != nil {
		panic(err) // cannot happen: the event has only strings and numbers
	}
	return text
}

type event struct {
	Version    string   `json:"version"`
	ID         string   `json:"id"`
	DetailType string   `json:"detail-type"`
	Source     string   `json:"source"`
	Account    string   `json:"account"`
	Time       string   `json:"time"`
	Region     string   `json:"region"`
	Resources  []string `json:"resources"`
	Detail     detail   `json:"detail"`
}

type detail struct {
	Version   string      `json:"version"`
	Bucket    eventBucket `json:"bucket"`
	Object    eventObject `json:"object"`
	RequestID string      `json:"request-id"`
	Requester string      `json:"requester"`
	SourceIP  string      `json:"source-ip-address"`
	Reason    string      `json:"reason"`
}

type eventBucket struct {
	Name string `json:"name"`
}

type eventObject struct {
	Key       string `json:"key"`
	Size      int64  `json:"size"`
	ETag      string `json:"etag"`
	VersionID string `json:"version-id,omitempty"`
	Sequencer string `json:"sequencer"`
}
