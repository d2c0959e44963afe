// Package private makes the files and folders of the local stack. Only their owner can read them, whatever the umask: inputs,
// results and logs may be confidential, and others may work on the machine. On Windows the folder's access list decides.
package private

import (
	"errors"
	"io/fs"
	"os"
)

// The modes of all that the local stack writes.
const (
	FileMode   fs.FileMode = 0o600
	FolderMode fs.FileMode = 0o700
)

// Folder makes a folder, with its parents. A folder that is there loses the access of other users.
func Folder(path string) error {
	if err := os.MkdirAll(path, FolderMode); err != nil {
		return err
	}
	return os.Chmod(path, FolderMode)
}

// Database makes an empty file for SQLite, which gives its mode to the files that it makes beside it. A database that is there
// loses the access of other users, and so do the files beside it.
//
// It never opens a file that is there: when a process closes any handle of a file, it loses all its locks on that file.
func Database(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, FileMode)
	if err == nil {
		return file.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
			continue // SQLite says what is wrong
		}
		if err := os.Chmod(name, FileMode); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err // gone is fine: the last process to close a database removes the files beside it
		}
	}
	return nil
}
