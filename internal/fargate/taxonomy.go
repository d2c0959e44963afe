package fargate

import (
	"regexp"
	"strings"

	"modeldispatch/internal/run"
)

// rule is a row of the taxonomy: texts that mean a class. The first row that fits wins.
type rule struct {
	text      *regexp.Regexp
	class     run.Class
	permanent bool
}

// rules are the texts of RunTask's failures[] and errors and of stopped tasks, as ECS writes them
// (API_failures, "Stopped tasks error codes", and what has been seen in the wild). They are
// compared without regard to case, blanks folded, and ’ read as '.
var rules = []rule{
	{text: re(`rate exceeded|throttl`), class: run.Throttled},
	{text: re(`reached the limit on the number of|vcpu limit|quota of tasks`), class: run.Quota},
	{text: re(`capacity is unavailable|empty capacity provider|^(taskfailedtostart: )?resource:|^(taskfailedtostart: )?agent$|insufficientfreeaddressesinsubnet`), class: run.Capacity},
	{text: re(`cannotpullcontainer.*(not found|not exist|no such|access denied|denied|forbidden|403|unauthorized|does not contain descriptor|no matching manifest|invalid reference)`), class: run.ImagePull, permanent: true},
	{text: re(`cannotpullcontainer|cannotpullecrcontainer`), class: run.ImagePull},
	{text: re(`tagpolicyviolation|accessdenied|not authorized|unable to assume`), class: run.Misconfigured, permanent: true},
	{text: re(`is not on this machine|executable file not found|no such file or directory|permission denied|secret .* is not set`), class: run.StartFailed, permanent: true},
	{text: re(`not compatible with the selected compute|^(taskfailedtostart: )?(attribute|location)`), class: run.Misconfigured, permanent: true},
	{text: re(`resourceinitializationerror|network interface|internalerror|cannotstartcontainer|cannotcreatecontainer|containerruntime|task failed to start|taskfailedtostart`), class: run.StartFailed},
	{text: re(`spot task was interrupted|performing maintenance|host terminated|host ec2 .*terminated`), class: run.Interrupted},
}

func re(text string) *regexp.Regexp { return regexp.MustCompile(text) }

// classify finds the row for a text; Unknown keeps the raw words for whoever reads them.
func classify(text string) run.Outcome {
	plain := strings.Join(strings.Fields(strings.ReplaceAll(strings.ToLower(text), "’", "'")), " ")
	for _, r := range rules {
		if r.text.MatchString(plain) {
			return run.Outcome{Class: r.class, Detail: text, Permanent: r.permanent}
		}
	}
	return run.Outcome{Class: run.Unknown, Detail: text}
}
