package sqs

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"
)

// Attributes configure a queue that Create makes. Zero fields mean SQS's defaults. Durations are rounded
// up to whole seconds.
type Attributes struct {
	Visibility  time.Duration // how long a received message is hidden, at most 12 h; default 30 s
	Delay       time.Duration // how long a sent message is hidden, at most 15 min; default 0
	Wait        time.Duration // the wait of an HTTP receive that names no wait itself, at most 20 s; default 0
	Retention   time.Duration // the age at which a message is deleted, 1 min to 14 days; default 4 days
	DeadLetter  string        // the name of an existing queue for messages received MaxReceives times; "" means none
	MaxReceives int           // the number of receives before a message is a dead letter, 1 to 1000
	// Hidden makes a queue that the HTTP side does not know. Its messages may hold any bytes, of any
	// size, and stay until they are deleted.
	Hidden bool
}

// settings returns the attributes by SQS's names.
func (a Attributes) settings(s *Server) map[string]string {
	set := map[string]string{}
	for name, d := range map[string]time.Duration{
		"VisibilityTimeout":             a.Visibility,
		"DelaySeconds":                  a.Delay,
		"ReceiveMessageWaitTimeSeconds": a.Wait,
		"MessageRetentionPeriod":        a.Retention,
	} {
		if d != 0 {
			// Round up: half a second of visibility must not become 0.
			set[name] = fmt.Sprint(int64((d + time.Second - 1) / time.Second))
		}
	}
	if a.DeadLetter != "" {
		set["RedrivePolicy"] = fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, s.ARN(a.DeadLetter), a.MaxReceives)
	}
	return set
}

// queue is one row of the table of queues, with its settings parsed.
type queue struct {
	name              string
	hidden            bool
	settings          map[string]string // the attributes that were set, by SQS's names
	created, modified int64             // in milliseconds since 1970
	limits            limits
}

// Create makes a queue. If one of that name exists, Create replaces its attributes and keeps its
// messages. The error wraps an *awsjson.Error if the name is invalid, an attribute is out of range, or
// the dead-letter queue does not exist.
func (s *Server) Create(ctx context.Context, name string, attributes Attributes) error {
	settings := attributes.settings(s)
	if !attributes.Hidden {
		if err := checkName(name); err != nil {
			return fmt.Errorf("creating the queue: %w", err)
		}
	}
	err := s.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return s.putQueue(ctx, tx, name, attributes.Hidden, settings)
	})
	if err != nil {
		return fmt.Errorf("creating the queue %s: %w", name, err)
	}
	s.wake(name)
	return nil
}

// putQueue checks the settings and inserts or updates the queue.
func (s *Server) putQueue(ctx context.Context, tx *sql.Tx, name string, hidden bool, settings map[string]string) error {
	limits, err := s.parseSettings(settings)
	if err != nil {
		return err
	}
	if limits.deadLetter != "" {
		_, err := s.find(ctx, tx, limits.deadLetter)
		if isNoSuchQueue(err) {
			return invalidParameter("Value %s for parameter RedrivePolicy is invalid. "+
				"Reason: Dead letter target does not exist.", settings["RedrivePolicy"])
		}
		if err != nil {
			return err
		}
	}
	settings = maps.Clone(settings)
	maps.DeleteFunc(settings, func(_, value string) bool { return value == "" })
	text, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO queue (name, hidden, settings, created, modified) VALUES (?1, ?2, ?3, ?4, ?4)
		ON CONFLICT (name) DO UPDATE SET hidden = ?2, settings = ?3, modified = ?4`,
		name, hidden, string(text), s.options.Now().UnixMilli())
	return err
}

// find reads a queue and deletes its messages that are older than its retention. It returns
// QueueDoesNotExist if there is no such queue.
func (s *Server) find(ctx context.Context, tx *sql.Tx, name string) (queue, error) {
	q := queue{name: name}
	var settings string
	row := tx.QueryRowContext(ctx, `SELECT hidden, settings, created, modified FROM queue WHERE name = ?`, name)
	switch err := row.Scan(&q.hidden, &settings, &q.created, &q.modified); {
	case errors.Is(err, sql.ErrNoRows):
		return q, noSuchQueue(name)
	case err != nil:
		return q, err
	}
	if err := json.Unmarshal([]byte(settings), &q.settings); err != nil {
		return q, fmt.Errorf("reading the settings of the queue %s: %w", name, err)
	}
	var err error
	if q.limits, err = s.parseSettings(q.settings); err != nil || q.hidden {
		return q, err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM message WHERE queue = ? AND sent <= ?`,
		name, s.options.Now().Add(-q.limits.retention).UnixMilli())
	return q, err
}

// findPublic is find for the HTTP side: it takes a queue's URL or name, and finds no hidden queue.
func (s *Server) findPublic(ctx context.Context, tx *sql.Tx, url string) (queue, error) {
	if url == "" {
		return queue{}, missingParameter("QueueUrl")
	}
	name := url[strings.LastIndexByte(url, '/')+1:]
	q, err := s.find(ctx, tx, name)
	if err == nil && q.hidden {
		return q, noSuchQueue(name)
	}
	return q, err
}

// createPublic makes a queue for CreateQueue. It leaves an existing queue as it is, and returns
// QueueAlreadyExists if that queue's settings differ from the given ones.
func (s *Server) createPublic(ctx context.Context, tx *sql.Tx, name string, settings map[string]string) error {
	q, err := s.find(ctx, tx, name)
	switch {
	case isNoSuchQueue(err):
		return s.putQueue(ctx, tx, name, false, settings)
	case err != nil:
		return err
	case q.hidden:
		return modelError("QueueNameExists", "QueueAlreadyExists", "The local stack itself uses the queue name %q.", name)
	}
	for attribute, value := range settings {
		if q.attributes()[attribute] != value {
			return modelError("QueueNameExists", "QueueAlreadyExists",
				"A queue already exists with the same name and a different value for attribute %s", attribute)
		}
	}
	return nil
}

// updateSettings changes the given settings of a queue and keeps the others. An empty value removes a
// setting.
func (s *Server) updateSettings(ctx context.Context, tx *sql.Tx, q queue, settings map[string]string) error {
	all := map[string]string{}
	maps.Copy(all, q.settings)
	maps.Copy(all, settings)
	return s.putQueue(ctx, tx, q.name, q.hidden, all)
}

// drop deletes a queue and its messages.
func (s *Server) drop(ctx context.Context, tx *sql.Tx, q queue) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM queue WHERE name = ?`, q.name)
	if err != nil {
		return err
	}
	return s.deleteAll(ctx, tx, q)
}

// deleteAll deletes all messages of a queue.
func (s *Server) deleteAll(ctx context.Context, tx *sql.Tx, q queue) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM message WHERE queue = ?`, q.name)
	return err
}

// startPurge records that the queue is being purged. It returns PurgeQueueInProgress if the last purge
// was less than 60 s ago.
func (s *Server) startPurge(q queue) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.options.Now()
	if last, ok := s.purged[q.name]; ok && now.Sub(last) < time.Minute {
		return prefixedError("PurgeQueueInProgress", "Only one PurgeQueue operation on %s is allowed every 60 seconds.", q.name)
	}
	s.purged[q.name] = now
	return nil
}

// names returns, in order, up to limit names of queues that are not hidden. The names start with prefix
// and come after the name in after.
func (s *Server) names(ctx context.Context, tx *sql.Tx, prefix, after string, limit int) ([]string, error) {
	rows, err := tx.QueryContext(ctx, `
		SELECT name FROM queue WHERE NOT hidden AND substr(name, 1, ?) = ? AND name > ? ORDER BY name LIMIT ?`,
		len(prefix), prefix, after, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// Counts holds the number of messages of a queue in each state.
type Counts struct {
	Visible  int // messages that can be received now
	InFlight int // messages that were received and are hidden
	Delayed  int // messages whose delay has not ended
}

// Counts returns the counts of all queues by name, hidden queues included. It reads them in one
// transaction, so a message that moves between two queues counts once.
func (s *Server) Counts(ctx context.Context) (map[string]Counts, error) {
	all := map[string]Counts{}
	err := s.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `
			SELECT queue.name, count(seq) FILTER (WHERE visible <= ?1),
				count(seq) FILTER (WHERE visible > ?1 AND received > 0),
				count(seq) FILTER (WHERE visible > ?1 AND received = 0)
			FROM queue LEFT JOIN message ON message.queue = queue.name GROUP BY queue.name`,
			s.options.Now().UnixMilli())
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var name string
			var c Counts
			if err := rows.Scan(&name, &c.Visible, &c.InFlight, &c.Delayed); err != nil {
				return err
			}
			all[name] = c
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("counting messages: %w", err)
	}
	return all, nil
}

// Busy reports whether any of the queues holds a message that is visible or in flight. Delayed
// messages do not count. Like Counts it reads all queues in one transaction.
func (s *Server) Busy(ctx context.Context, queues ...string) (bool, error) {
	busy := false
	err := s.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, name := range queues {
			row := tx.QueryRowContext(ctx, `
				SELECT EXISTS (SELECT 1 FROM message WHERE queue = ? AND (received > 0 OR visible <= ?))`,
				name, s.options.Now().UnixMilli())
			if err := row.Scan(&busy); err != nil || busy {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("checking for messages: %w", err)
	}
	return busy, nil
}

// Visibility returns the queue's visibility timeout: how long it hides a received message.
func (s *Server) Visibility(ctx context.Context, queue string) (time.Duration, error) {
	var d time.Duration
	err := s.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		q, err := s.find(ctx, tx, queue)
		d = q.limits.visibility
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("reading the queue %s: %w", queue, err)
	}
	return d, nil
}

// count returns the counts of one queue.
func (s *Server) count(ctx context.Context, tx *sql.Tx, q queue) (c Counts, err error) {
	row := tx.QueryRowContext(ctx, `
		SELECT count(*) FILTER (WHERE visible <= ?1),
			count(*) FILTER (WHERE visible > ?1 AND received > 0),
			count(*) FILTER (WHERE visible > ?1 AND received = 0)
		FROM message WHERE queue = ?2`,
		s.options.Now().UnixMilli(), q.name)
	err = row.Scan(&c.Visible, &c.InFlight, &c.Delayed)
	return c, err
}

// plainName matches the names of queues and the ids of batch entries.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// checkName returns SQS's error for an invalid queue name.
func checkName(name string) error {
	switch {
	case strings.HasSuffix(name, ".fifo"):
		return unsupported("The queue %q would be a FIFO queue; the local stack has standard queues only.", name)
	case !plainName.MatchString(name):
		return invalidParameter("The queue name %q is invalid: use 1 to 80 letters, digits, hyphens and underscores.", name)
	}
	return nil
}
