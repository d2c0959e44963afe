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

// sequence generates sequencers. Each is greater than all earlier ones: also after a restart, after the deletion of
// objects, and after the clock was set back.
//
// A sequencer is the time in nanoseconds, or one more than the last sequencer if the clock has not advanced. A file
// holds a number above all sequencers so far. next raises it before a sequencer reaches it.
type sequence struct {
	file string
	now  func() time.Time

	mu       sync.Mutex
	last     int64 // the last sequencer
	reserved int64 // the number in the file
}

// reserve is the distance in nanoseconds by which the file is ahead. It keeps writes of the file rare.
const reserve = int64(time.Minute)

// openSequence continues after the number in the file. It starts anew if the file does not exist.
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

// next returns a new sequencer in 16 hex digits.
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
