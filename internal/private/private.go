// Package private keeps the files and folders of the local stack readable by their owner only. It creates folders and
// SQLite databases, and defines the modes for all other files.
//
// Inputs, results and logs may be confidential, and other users may work on the same machine. So the
// local stack (package local and its parts) and the SQLite store take the modes of their files from
// here.
//
// Terms:
//
//   - A private file or folder has FileMode or FolderMode, whatever the umask.
//   - The files beside a database are the -wal and -shm files that SQLite creates in WAL mode.
//
// Entry points: Folder makes a folder private, and Database makes an SQLite database private. Code that creates any
// other file or folder itself passes FileMode or FolderMode to package os.
//
// Rules:
//
//   - Both functions also take access away from other users of a path that already exists, such as
//     a folder that an older version created. The contents of a folder stay as they are.
//   - Database must run before SQLite opens the file: SQLite copies the mode of a database to the
//     files beside it.
//   - On Windows the modes have no effect. There the access list of the folder decides.
package private

import (
	"errors"
	"io/fs"
	"os"
)

// The modes of the files and folders that the local stack writes: access for the owner only.
const (
	FileMode   fs.FileMode = 0o600
	FolderMode fs.FileMode = 0o700
)

// Folder creates a folder and its missing parents with FolderMode. If the folder exists, Folder sets its mode to
// FolderMode. It does not change parents that exist. It returns the errors of package os.
func Folder(path string) error {
	if err := os.MkdirAll(path, FolderMode); err != nil {
		return err
	}
	return os.Chmod(path, FolderMode)
}

// Database creates an empty file for SQLite with FileMode. SQLite gives the same mode to the -wal and -shm files that
// it creates beside the database. If the database exists, Database sets its mode and theirs to FileMode. It returns the
// errors of package os.
//
// Database does not open an existing file: when a process closes any handle of a file, POSIX drops all locks that the
// process holds on that file, so SQLite would lose its own.
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
			continue // a missing file needs no mode, and SQLite reports a path that is not a file
		}
		if err := os.Chmod(name, FileMode); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err // a file may vanish meanwhile: the last process to close a database removes the files beside it
		}
	}
	return nil
}
