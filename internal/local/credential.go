package local

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"modeldispatch/internal/private"
)

// Credential is the access key that a project's local stack asks for. Its clients sign with it as
// with one of AWS. The stack compares the id and does not verify signatures.
type Credential struct{ AccessKeyID, SecretAccessKey string }

// CredentialFile returns the file of a credential in a data folder. It has the form of AWS's own
// credentials file, so AWS_SHARED_CREDENTIALS_FILE may name it.
func CredentialFile(data string) string { return filepath.Join(data, "credentials") }

const (
	idField     = "aws_access_key_id"
	secretField = "aws_secret_access_key"
)

// proof returns a code of a text. Only a program that has the credential can compute it.
func (c Credential) proof(text string) string {
	mac := hmac.New(sha256.New, []byte(c.SecretAccessKey))
	_, _ = mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// readCredential reads a credential. A missing file is os.ErrNotExist.
func readCredential(file string) (Credential, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Credential{}, err
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, "=")
		values[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	c := Credential{values[idField], values[secretField]}
	if c.AccessKeyID == "" || c.SecretAccessKey == "" {
		return c, fmt.Errorf("%s lacks %s or %s: modeldispatch local --new-credentials writes the file anew", file, idField, secretField)
	}
	return c, nil
}

// makeCredential returns the credential of a file. It makes one if the file does not exist, or if the
// caller wants another.
func makeCredential(file string, another bool) (Credential, error) {
	if !another {
		c, err := readCredential(file)
		if err == nil {
			err = os.Chmod(file, private.FileMode)
		}
		if !errors.Is(err, os.ErrNotExist) {
			return c, err
		}
	}
	c := Credential{"LOCAL" + rand.Text(), rand.Text()}
	text := fmt.Sprintf("[default]\n%s = %s\n%s = %s\n", idField, c.AccessKeyID, secretField, c.SecretAccessKey)
	draft, err := os.CreateTemp(filepath.Dir(file), "credentials-") // with mode 0600
	if err != nil {
		return c, err
	}
	defer func() { _ = os.Remove(draft.Name()) }() // after the rename there is nothing to remove
	if _, err := draft.WriteString(text); err != nil {
		return c, errors.Join(err, draft.Close())
	}
	if err := draft.Close(); err != nil {
		return c, err
	}
	return c, os.Rename(draft.Name(), file)
}
