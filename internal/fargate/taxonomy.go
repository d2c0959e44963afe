package fargate

import (
	"regexp"
	"slices"
	"strings"

	"modeldispatch/internal/run"
)

// A rule is a row of the taxonomy. It assigns a class to the texts that it matches.
type rule struct {
	text      *regexp.Regexp // matches a normalized text
	class     run.Class
	permanent bool // another attempt would fail in the same way
}

// rules classifies the texts of RunTask's failures[], of its errors ("CODE: message") and of stopped tasks.
// The first rule that matches a text applies. The texts come from the ECS developer guide ("API failure
// reasons" and "Stopped tasks error codes") and from real accounts. They can contain the names of images,
// models and accounts. So each rule is specific enough that such a name cannot match it by accident.
var rules = slices.Concat(
	rows(run.ClassInterrupted, false,
		`spot task was interrupted`, `performing maintenance`, `host (ec2 .*)?terminated`),
	rows(run.ClassThrottled, false,
		`rate exceeded`, `throttl(ing|ed)exception`, `^(request)?throttl(ing|ed):`, `^requestlimitexceeded`, `^toomanyrequests`, `^slowdown`,
		// The credentials or the clock of the caller are wrong. The next call may have valid ones.
		`^unrecognizedclient`, `^expiredtoken`, `^requestexpired`, `^invalidclienttokenid`, `^missingauthenticationtoken`,
		`^(invalid|incomplete)signature`, `^signaturedoesnotmatch`, `^authfailure`, `^requesttimetooskewed`,
		// A conflict that names no task. A task may still have the client token, so no other token is safe.
		// The launcher sends the same token until it is too old. Then it lists the tasks of the attempt.
		`^conflict`),
	rows(run.ClassQuota, false,
		`reached the limit on the number of`, `vcpu limit`, `quota of tasks`),
	rows(run.ClassCapacity, false,
		`capacity is unavailable`, `empty capacity provider`, `no active instances`, `insufficientfreeaddressesinsubnet`,
		`^resource:`, `^agent$`),
	rows(run.ClassImagePull, true,
		pull+`not found`, pull+`not exist`, pull+`no such image`, pull+`access ?denied`, pull+` denied\b`,
		pull+`\b403:? forbidden`, pull+`\bstatus( code)?:? 403\b`, pull+`\b401:? unauthorized`, pull+` unauthorized:`,
		pull+`does not contain descriptor`, pull+`no matching manifest`, pull+`invalid reference`),
	rows(run.ClassImagePull, false,
		pull),
	rows(run.ClassMisconfigured, true,
		`tagpolicyviolation`, `accessdenied`, `not authorized to`, `unable to assume`, `not compatible with the selected compute`,
		`placement constraint unsatisfied`, `^attribute$`, `^location$`, `^missing$`, `^inactive$`),
	rows(run.ClassStartFailed, true,
		`is not on this machine`, `executable file not found`, `no such file or directory`, `permission denied`, `secret .* is not set`),
	rows(run.ClassStartFailed, false,
		`resourceinitializationerror`, `network interface`, `internalerror`, `cannotstartcontainer`, `cannotcreatecontainer`,
		`cannotinspectcontainer`, `cannotcreatevolume`, `containerruntime(timeout)?error`, `dockertimeouterror`),
)

// pull is the start of a rule about an image that ECS could not pull. The cause follows it.
const pull = `cannotpull(ecr)?container.*`

// rows returns one rule for each text, all with the same class.
func rows(class run.Class, permanent bool, texts ...string) []rule {
	all := make([]rule, len(texts))
	for i, text := range texts {
		all[i] = rule{regexp.MustCompile(text), class, permanent}
	}
	return all
}

// matchRule returns the first rule that matches one of the texts, together with that text. It returns nil
// if no rule matches.
func matchRule(texts ...string) (*rule, string) {
	normalized := make([]string, len(texts))
	for i, text := range texts {
		normalized[i] = normalize(text)
	}
	for i := range rules {
		if n := slices.IndexFunc(normalized, rules[i].text.MatchString); n >= 0 {
			return &rules[i], texts[n]
		}
	}
	return nil, ""
}

// normalize returns a text in the form that the rules expect: lower case, single blanks, straight
// apostrophes, no leading "TaskFailedToStart:" and no full stop at the end.
func normalize(text string) string {
	words := strings.Join(strings.Fields(strings.ReplaceAll(strings.ToLower(text), "’", "'")), " ")
	return strings.TrimSuffix(strings.TrimSpace(strings.TrimPrefix(words, "taskfailedtostart:")), ".")
}

// classify returns the outcome for the texts, with the text that decided it as its detail. If no rule
// matches, the class is ClassUnknown, and the detail holds all the texts.
func classify(texts ...string) run.Outcome {
	if r, text := matchRule(texts...); r != nil {
		return run.Outcome{Class: r.class, Detail: text, Permanent: r.permanent}
	}
	return run.Outcome{Class: run.ClassUnknown, Detail: strings.Join(texts, "; ")}
}
