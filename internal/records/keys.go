package records

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// RunKey returns the key of a run's document.
func RunKey(id string) store.Key { return store.Key{PK: "run/" + id, SK: "run"} }

// SpecKey returns the key of a run's spec.
func SpecKey(id string) store.Key { return store.Key{PK: "run/" + id, SK: "spec"} }

// AttemptKey returns the key of an attempt of a run. Attempts are numbered from 1.
func AttemptKey(id string, number int) store.Key {
	return store.Key{PK: "run/" + id, SK: fmt.Sprintf("attempt/%04d", number)}
}

// RunID returns the id of the run that an event starts for a model and a combination of for-each values. It is the same
// for each delivery of the event.
func RunID(model, identity, combination string) string {
	sum := sha256.Sum256([]byte(model + "\x00" + identity + "\x00" + combination))
	return model + "-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:12]
}

// EventKey returns the key of an event's record for a model and a combination of for-each values. An empty model stands
// for an event that no model matches.
func EventKey(identity, model, combination string) store.Key {
	sort := model
	if sort == "" {
		sort = "-"
	}
	if combination != "" {
		sort += "/" + combination
	}
	return store.Key{PK: EventPartition(identity), SK: sort}
}

// EventPartition returns the partition key of all records of one event.
func EventPartition(identity string) string { return "event/" + Hash(identity) }

// HoldersKey returns the key of a concurrency group's document.
func HoldersKey(g run.Group) store.Key { return store.Key{PK: GroupPartition(g), SK: "holders"} }

// GroupPartition returns the partition key of a concurrency group's documents.
func GroupPartition(g run.Group) string { return "group/" + g.String() }

// BreakerPartition returns the partition key of the waiters at the breaker of a capacity type.
func BreakerPartition(c model.Capacity) string { return "breaker/" + string(c) }

// WaiterPrefix begins the sort keys of the waiters in the partition of a concurrency group or of a breaker.
const WaiterPrefix = "w/"

// WaiterKey returns the key of a run that waits for a slot or for capacity. The sort keys order the waiters by when
// their runs were accepted.
func WaiterKey(r run.Run) store.Key {
	partition := GroupPartition(r.Group)
	if r.WaitingFor == run.ForCapacity {
		partition = BreakerPartition(r.Breaker)
	}
	return store.Key{PK: partition, SK: fmt.Sprintf("%s%015d/%s", WaiterPrefix, r.Accepted.UnixMilli(), r.ID)}
}

// WindowKey returns the key of the debounce window for these inputs. Without `per`, all inputs must be equal.
func WindowKey(m model.Model, inputs model.Inputs) store.Key {
	text := ""
	if per := m.Policy.Debounce.Per; per != nil {
		text = per.Key(inputs)
	} else {
		for _, name := range slices.Sorted(maps.Keys(inputs)) {
			text += name + "=" + inputs[name] + "\x00"
		}
	}
	return store.Key{PK: "window/" + m.Name + "/" + Hash(text), SK: "-"}
}

// ObjectKey returns the key of the document that notes that a run waits for an object.
func ObjectKey(uri, id string) store.Key { return store.Key{PK: "object/" + Hash(uri), SK: id} }

// ControlKey returns the key of a model's control document.
func ControlKey(name string) store.Key { return store.Key{PK: "control/" + name, SK: "-"} }

// LimiterKey returns the key of the limiter. No model can have the name -.
func LimiterKey() store.Key { return store.Key{PK: "control/-", SK: "rate-limiter"} }

// ExpectationKey returns the key of a model's expectation for a value of `per`.
func ExpectationKey(name, value string) store.Key {
	return store.Key{PK: "expect/" + name, SK: "-" + value}
}

// Hash returns 32 hexadecimal characters of the SHA-256 of a text, for keys.
func Hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}
