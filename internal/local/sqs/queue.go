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

// Attributes is what a queue made through Create does. Zero fields mean SQS's defaults.
type Attributes struct {
	Visibility  time.Duration // how long a received message is hidden; default 30 s
	Delay       time.Duration // how long a sent message is hidden, to 15 min
	Wait        time.Duration // how long a receive without a time of its own waits, to 20 s
	Retention   time.Duration // after which a message is gone; default 4 days
	DeadLetter  string        // the queue that takes what was received MaxReceives times; it must exist
	MaxReceives int
	// Hidden keeps the queue to this process: the HTTP side does not know it. Its messages may
	// hold any bytes, of any size, and stay until they are deleted.
	Hidden bool
}

func (a Attributes) settings(s *Server) map[string]string {
	set := map[string]string{}
	for name, d := range map[string]time.Duration{
		"VisibilityTimeout":             a.Visibility,
		"DelaySeconds":                  a.Delay,
		"ReceiveMessageWaitTimeSeconds": a.Wait,
		"MessageRetentionPeriod":        a.Retention,
	} {
		if d != 0 {
			// Up, not down: half a second of visibility must not become none.
			set[name] = fmt.Sprint(int64((d + time.Second - 1) / time.Second))
		}
	}
	if a.DeadLetter != "" {
		set["RedrivePolicy"] = fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, s.ARN(a.DeadLetter), a.MaxReceives)
	}
	return set
}

// queue is one row of the table, with what its settings say.
type queue struct {
	name              string
	hidden            bool
	settings          map[string]string
	created, modified int64
	limits            limits
}

// Create makes a queue, or gives the one of that name these attributes; its messages stay.
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

// putQueue checks the settings and writes the queue.
func (s *Server) putQueue(ctx context.Context, tx *sql.Tx, name string, hidden bool, settings map[string]string) error {
	limits, err := s.parseSettings(settings)
	if err != nil {
		return err
	}
	if limits.deadLetter != "" {
		_, err := s.find(ctx, tx, limits.deadLetter)
		if isAbsent(err) {
			return invalidParameter("Value %s for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist.", settings["RedrivePolicy"])
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

// find reads a queue and drops those of its messages that are past their retention.
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

// findPublic is find for the HTTP side.
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

// createPublic is CreateQueue: a queue of that name is left as it is, if it has these settings.
func (s *Server) createPublic(ctx context.Context, tx *sql.Tx, name string, settings map[string]string) error {
	q, err := s.find(ctx, tx, name)
	switch {
	case isAbsent(err):
		return s.putQueue(ctx, tx, name, false, settings)
	case err != nil:
		return err
	case q.hidden:
		return modelled("QueueNameExists", "QueueAlreadyExists", "The queue name %q is taken by the local stack itself.", name)
	}
	for attribute, value := range settings {
		if q.attributes()[attribute] != value {
			return modelled("QueueNameExists", "QueueAlreadyExists",
				"A queue already exists with the same name and a different value for attribute %s", attribute)
		}
	}
	return nil
}

// change is SetQueueAttributes. An empty RedrivePolicy takes the policy away.
func (s *Server) change(ctx context.Context, tx *sql.Tx, q queue, settings map[string]string) error {
	all := map[string]string{}
	maps.Copy(all, q.settings)
	maps.Copy(all, settings)
	return s.putQueue(ctx, tx, q.name, q.hidden, all)
}

func (s *Server) drop(ctx context.Context, tx *sql.Tx, q queue) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM queue WHERE name = ?`, q.name)
	if err != nil {
		return err
	}
	return s.empty(ctx, tx, q)
}

func (s *Server) empty(ctx context.Context, tx *sql.Tx, q queue) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM message WHERE queue = ?`, q.name)
	return err
}

// mayPurge says when a queue was purged less than 60 s ago, and notes this purge.
func (s *Server) mayPurge(q queue) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.options.Now()
	if last, ok := s.purged[q.name]; ok && now.Sub(last) < time.Minute {
		return legacy("PurgeQueueInProgress", "Only one PurgeQueue operation on %s is allowed every 60 seconds.", q.name)
	}
	s.purged[q.name] = now
	return nil
}

// names lists the public queues in order.
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

// Counts is how many messages a queue holds, by what they wait for.
type Counts struct {
	Visible  int // can be received now
	InFlight int // received and hidden, or hidden again by ChangeVisibility
	Delayed  int // sent with a delay that is not over
}

// Counts reads all queues, hidden ones too, at one moment: a message that moves from one to
// another is never missing from both.
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

// Busy says whether any of the queues holds a message that is visible or in flight. Like Counts
// it looks at all of them at one moment; messages that are only delayed do not count.
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
		return false, fmt.Errorf("looking for messages: %w", err)
	}
	return busy, nil
}

// Visibility is how long the queue hides a received message.
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

// count counts one queue's messages.
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

func checkName(name string) error {
	switch {
	case strings.HasSuffix(name, ".fifo"):
		return unsupported("The queue %q would be a FIFO queue; the local stack has standard queues only.", name)
	case !regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`).MatchString(name):
		return invalidParameter("The queue name %q is invalid: 1 to 80 letters, digits, hyphens and underscores are right.", name)
	}
	return nil
}
