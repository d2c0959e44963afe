package fargate

import (
	"regexp"
	"slices"
	"strings"

	"modeldispatch/internal/run"
)

// rule is a row of the taxonomy: a text that means a class. The first row that fits wins.
type rule struct {
	text      *regexp.Regexp
	class     run.Class
	permanent bool
}

// rules are the texts of RunTask's failures[] and errors ("CODE: message") and of stopped tasks, as
// ECS writes them (its developer guide's "API failure reasons" and "Stopped tasks error codes", and
// what has been seen in the wild), as plain has them. Images, models and accounts stand in these
// texts under any name and number: a row asks for so much of a sentence that none is taken for it.
var rules = slices.Concat(
	rows(run.Interrupted, false,
		`spot task was interrupted`, `performing maintenance`, `host (ec2 .*)?terminated`),
	rows(run.Throttled, false,
		`rate exceeded`, `throttl(ing|ed)exception`, `^(request)?throttl(ing|ed):`, `^requestlimitexceeded`, `^toomanyrequests`, `^slowdown`,
		// The caller's credentials and clock: the next ones may be good.
		`^unrecognizedclient`, `^expiredtoken`, `^requestexpired`, `^invalidclienttokenid`, `^missingauthenticationtoken`,
		`^(invalid|incomplete)signature`, `^signaturedoesnotmatch`, `^authfailure`, `^requesttimetooskewed`,
		// A conflict that names no task: one may have the token all the same, so that no other token is
		// safe. The same is sent until it is too old for that; then the tasks of the attempt are listed.
		`^conflict`),
	rows(run.Quota, false,
		`reached the limit on the number of`, `vcpu limit`, `quota of tasks`),
	rows(run.Capacity, false,
		`capacity is unavailable`, `empty capacity provider`, `no active instances`, `insufficientfreeaddressesinsubnet`,
		`^resource:`, `^agent$`),
	rows(run.ImagePull, true,
		pull+`not found`, pull+`not exist`, pull+`no such image`, pull+`access ?denied`, pull+` denied\b`,
		pull+`\b403:? forbidden`, pull+`\bstatus( code)?:? 403\b`, pull+`\b401:? unauthorized`, pull+` unauthorized:`,
		pull+`does not contain descriptor`, pull+`no matching manifest`, pull+`invalid reference`),
	rows(run.ImagePull, false,
		pull),
	rows(run.Misconfigured, true,
		`tagpolicyviolation`, `accessdenied`, `not authorized to`, `unable to assume`, `not compatible with the selected compute`,
		`placement constraint unsatisfied`, `^attribute$`, `^location$`, `^missing$`, `^inactive$`),
	rows(run.StartFailed, true,
		`is not on this machine`, `executable file not found`, `no such file or directory`, `permission denied`, `secret .* is not set`),
	rows(run.StartFailed, false,
		`resourceinitializationerror`, `network interface`, `internalerror`, `cannotstartcontainer`, `cannotcreatecontainer`,
		`cannotinspectcontainer`, `cannotcreatevolume`, `containerruntime(timeout)?error`, `dockertimeouterror`),
)

// pull is an image that could not be pulled, and why is what follows.
const pull = `cannotpull(ecr)?container.*`

func rows(class run.Class, permanent bool, texts ...string) []rule {
	all := make([]rule, len(texts))
	for i, text := range texts {
		all[i] = rule{regexp.MustCompile(text), class, permanent}
	}
	return all
}

// row finds the first row that fits one of the texts, and that text.
func row(texts ...string) (*rule, string) {
	words := make([]string, len(texts))
	for i, text := range texts {
		words[i] = plain(text)
	}
	for i := range rules {
		if n := slices.IndexFunc(words, rules[i].text.MatchString); n >= 0 {
			return &rules[i], texts[n]
		}
	}
	return nil, ""
}

// plain is a text as the rows have it: without what introduces a reason, and the full stop of some.
func plain(text string) string {
	words := strings.Join(strings.Fields(strings.ReplaceAll(strings.ToLower(text), "’", "'")), " ")
	return strings.TrimSuffix(strings.TrimSpace(strings.TrimPrefix(words, "taskfailedtostart:")), ".")
}

// classify gives the class of the texts; Unknown keeps the raw words for whoever reads them.
func classify(texts ...string) run.Outcome {
	if r, text := row(texts...); r != nil {
		return run.Outcome{Class: r.class, Detail: text, Permanent: r.permanent}
	}
	return run.Outcome{Class: run.Unknown, Detail: strings.Join(texts, "; ")}
}
