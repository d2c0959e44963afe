package s3

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"modeldispatch/internal/private"
)

// sequence gives sequencers: each is greater than all before it, also those that were given before
// a restart, to objects that are gone, under a clock that has been set back since.
//
// They follow the clock, in nanoseconds. A file holds a number that none has reached yet; it is
// raised before one does.
type sequence struct {
	file string
	now  func() time.Time

	mu       sync.Mutex
	last     int64
	reserved int64
}

// reserve is how far ahead sequencers are reserved, so that the file is seldom written.
const reserve = int64(time.Minute)

func openSequence(file string, now func() time.Time) (*sequence, error) {
	s := &sequence{file: file, now: now}
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		s.reserved, err = strconv.ParseInt(strings.TrimSpace(string(text)), 16, 64)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the last sequencer: %w", err)
	}
	s.last = s.reserved
	return s, nil
}

// next is a new sequencer.
func (s *sequence) next() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := max(s.now().UnixNano(), s.last+1)
	if next >= s.reserved {
		if err := s.write(next + reserve); err != nil {
			return "", fmt.Errorf("reserving sequencers: %w", err)
		}
	}
	s.last = next
	return fmt.Sprintf("%016X", next), nil
}

func (s *sequence) write(reserved int64) error {
	fresh := s.file + ".new"
	if err := os.WriteFile(fresh, fmt.Appendf(nil, "%016X\n", reserved), private.FileMode); err != nil {
		return err
	}
	if err := os.Rename(fresh, s.file); err != nil {
		return err
	}
	s.reserved = reserved
	return nil
}
