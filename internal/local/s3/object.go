package s3

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// Why an object was created, in the words of S3's events.
const (
	PutObject               = "PutObject"
	CopyObject              = "CopyObject"
	CompleteMultipartUpload = "CompleteMultipartUpload"
	PostObject              = "POST Object"
)

// Object is an object that was created.
type Object struct {
	Bucket string
	Key    string // letter for letter, not encoded
	ETag   string // hex, without quotes
	// VersionID is empty: nothing is versioned.
	VersionID string
	// Sequencer is 16 hex digits, and greater for each later object, also across restarts.
	Sequencer string
	Size      int64
	Reason    string
	Time      time.Time
}

// partition is the AWS partition that the local stack takes itself for.
const partition = "aws"

// Event is what S3 tells EventBridge about the object. It is a function of the object: the same
// each time, its id included. Its key is the object's own, which it is not in S3's notifications
// to queues.
func (o Object) Event(account, region string) json.RawMessage {
	id := uuid.NewSHA1(uuid.NameSpaceURL, []byte("s3://"+o.Bucket+"/"+o.Key+"#"+o.Sequencer))
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
		panic(err) // strings and numbers: cannot happen
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
