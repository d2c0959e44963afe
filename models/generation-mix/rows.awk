# rows.awk turns a JSON array of flat objects into the lines of a CSV file:
#     [{"year": 2017, "source": "Renewables", "net_generation": 22101}]   ->   2017,Renewables,22101
# with the members that `columns` names, in that order. Anything else is an error: a figure that was
# sent and silently not counted is worse than none.

BEGIN { count = split(columns, column, ",") }
      { text = text $0 "\n" }
END {
	expect("[")
	if (next_is("]")) { exit }
	do { object() } while (next_is(","))
	expect("]")
	skip()
	if (text != "") fail("nothing may follow the array")
}

function object(    name, value, member, line, i) {
	row++
	expect("{")
	do {
		name = token("\"([^\"\\\\]|\\\\.)*\"", "a member's name")
		expect(":")
		value = token("\"([^\"\\\\]|\\\\.)*\"|-?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?", "a text or a number")
		member[name] = value
	} while (next_is(","))
	expect("}")
	for (i = 1; i <= count; i++) {
		if (!(column[i] in member)) fail("\"" column[i] "\" is missing")
		line = line (i > 1 ? "," : "") member[column[i]]
		delete member[column[i]]
	}
	for (name in member) fail("\"" name "\" is not one of " columns)
	print line
}

# token takes what matches off the text. A text in quotes comes without them, and may hold neither a
# comma nor an escape: no name of an energy source does.
function token(form, what,    found) {
	skip()
	if (match(text, "^(" form ")") != 1) fail(what " must come here")
	found = substr(text, 1, RLENGTH)
	text = substr(text, RLENGTH + 1)
	if (found ~ /^"/) {
		if (found ~ /[\\,\n]/) fail(found " holds a comma or an escape")
		found = substr(found, 2, length(found) - 2)
	}
	return found
}

function next_is(character) {
	skip()
	if (substr(text, 1, 1) != character) return 0
	text = substr(text, 2)
	return 1
}

function expect(character) { if (!next_is(character)) fail("a " character " must come here") }

function skip() { sub(/^[ \t\r\n]+/, "", text) }

function fail(cause) {
	printf "rows: row %d: %s, at: %s\n", row, cause, substr(text, 1, 40) > "/dev/stderr"
	exit 1
}
