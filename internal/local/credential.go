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

// Credential is the access key of a project's local stack. Clients sign requests with it, as with an access key of AWS.
// The stack compares the id and does not verify signatures.
type Credential struct{ AccessKeyID, SecretAccessKey string }

// CredentialFile returns the path of the credential in a data folder. The file has the form of AWS's credentials file,
// so AWS_SHARED_CREDENTIALS_FILE may name it.
func CredentialFile(data string) string { return filepath.Join(data, "credentials") }

const (
	idField     = "aws_access_key_id"
	secretField = "aws_secret_access_key"
)

// proof returns the HMAC-SHA256 of a text under the secret access key. Only a program with the credential can compute
// it.
func (c Credential) proof(text string) string {
	mac := hmac.New(sha256.New, []byte(c.SecretAccessKey))
	_, _ = mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// readCredential reads a credential. It returns os.ErrNotExist if the file is missing, and another error if the file
// lacks a field.
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
		return c, fmt.Errorf("%s lacks %s or %s: modeldispatch local --new-credentials writes a new file", file, idField, secretField)
	}
	return c, nil
}

// makeCredential returns the credential in a file. It writes a new credential if the file does not exist or if replace
// is set. It renames a draft into place, so no client reads half a file.
func makeCredential(file string, replace bool) (Credential, error) {
	if !replace {
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
	defer func() { _ = os.Remove(draft.Name()) }() // fails after the rename, as it should
	if _, err := draft.WriteString(text); err != nil {
		return c, errors.Join(err, draft.Close())
	}
	if err := draft.Close(); err != nil {
		return c, err
	}
	return c, os.Rename(draft.Name(), file)
}
