package ecs

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/url"

	_ "modernc.org/sqlite" // the driver

	"modeldispatch/internal/private"
)

const schema = `
CREATE TABLE IF NOT EXISTS task (arn TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS call (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS definition (family TEXT NOT NULL, revision INTEGER NOT NULL, status TEXT NOT NULL,
	registered TEXT NOT NULL, PRIMARY KEY (family, revision)) WITHOUT ROWID;`

// openFile opens Options.File and loads its task definitions, calls and tasks.
func (s *Server) openFile(ctx context.Context) error {
	dsn := "file::memory:?_pragma=busy_timeout(10000)"
	if s.File != "" {
		if err := private.Database(s.File); err != nil {
			return err
		}
		dsn = "file:" + (&url.URL{Path: s.File}).EscapedPath() +
			"?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1) // SQLite has one writer, and each connection to :memory: is a database of its own
	s.db = db
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return err
	}
	if err := s.readDefinitions(ctx); err != nil {
		return err
	}
	if err := readBodies(ctx, db, `SELECT body FROM call`, func(c *call) { s.calls[c.key()] = c }); err != nil {
		return err
	}
	return readBodies(ctx, db, `SELECT body FROM task`, func(state *taskState) {
		t := &task{taskState: *state, stopRequests: make(chan stopCause, 8)}
		if t.definition = s.findDefinition(t.DefinitionARN); t.definition != nil {
			s.tasks[t.ARN] = t
		}
	})
}

// readBodies decodes the JSON body in each row and passes it to take.
func readBodies[T any](ctx context.Context, db *sql.DB, query string, take func(*T)) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var body string
		if err := rows.Scan(&body); err != nil {
			return err
		}
		v := new(T)
		if err := json.Unmarshal([]byte(body), v); err != nil {
			return fmt.Errorf("decoding the row %.40s…: %w", body, err)
		}
		take(v)
	}
	return rows.Err()
}

func (s *Server) readDefinitions(ctx context.Context) error {
	rows, err := s.db.QueryContext(ctx, `SELECT family, revision, status, registered FROM definition ORDER BY family, revision`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		d := &definition{}
		var registered string
		if err := rows.Scan(&d.Family, &d.Revision, &d.Status, &registered); err != nil {
			return err
		}
		d.Registered = json.RawMessage(registered)
		if err := json.Unmarshal(d.Registered, &d.spec); err != nil {
			return err
		}
		if d.spec.check() != nil {
			d.Status = "INACTIVE" // earlier versions of this program registered names that ECS refuses
		}
		s.definitions[d.Family] = append(s.definitions[d.Family], d)
	}
	return rows.Err()
}

func (s *Server) saveDefinition(d *definition) error {
	const insert = `INSERT OR REPLACE INTO definition VALUES (?, ?, ?, ?)`
	_, err := s.db.Exec(insert, d.Family, d.Revision, d.Status, string(d.Registered))
	return err
}

// saveCall writes a call and its tasks in one transaction.
func (s *Server) saveCall(c *call, started []*task) error {
	tx, err := s.db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if c.Token != "" {
		if _, err := tx.Exec(`INSERT OR REPLACE INTO call VALUES (?, ?)`, c.key(), encode(c)); err != nil {
			return err
		}
	}
	for _, t := range started {
		if _, err := tx.Exec(`INSERT INTO task VALUES (?, ?)`, t.ARN, encode(t.taskState)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// saveTask writes the current state of a task. It only logs an error, because the error matters after a crash only: the
// next process then loads the older state, and Recover settles the task.
func (s *Server) saveTask(t *task) {
	s.write("saving task "+t.ARN, `UPDATE task SET body = ? WHERE arn = ?`, encode(t.taskState), t.ARN)
}

// dropTask deletes a task. After an error the next process loads the task again, and forgets it.
func (s *Server) dropTask(arn string) {
	s.write("deleting task "+arn, `DELETE FROM task WHERE arn = ?`, arn)
}

// dropCall deletes a call. After an error the next process loads the call again, and forgets it.
func (s *Server) dropCall(key string) {
	s.write("deleting call "+key, `DELETE FROM call WHERE key = ?`, key)
}

// write runs a statement whose failure changes nothing for this process, and logs an error.
func (s *Server) write(what, statement string, args ...any) {
	if _, err := s.db.Exec(statement, args...); err != nil {
		s.Log.Error().Err(err).Str("file", s.File).Str("write", what).Msg("the local ECS cannot write its file")
	}
}

func encode(v any) string {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encoding a %T: %v", v, err)) // cannot happen: tasks and calls are plain data
	}
	return string(body)
}
