# rows.awk converts a JSON array of flat objects to the lines of a CSV file:
#     [{"year": 2017, "source": "Renewables", "net_generation": 22101}]   ->   2017,Renewables,22101
#
# The variable columns lists the members of an object, in the order of the CSV columns. A missing or unknown member, a
# nested value and malformed JSON are errors, so that no figure of a request is silently lost.

BEGIN { count = split(columns, column, ",") }
      { text = text $0 "\n" }
END {
	expect("[")
	if (next_is("]")) { exit }
	do { object() } while (next_is(","))
	expect("]")
	skip()
	if (text != "") fail("unexpected text after the array")
}

function object(    name, value, member, line, i) {
	row++
	expect("{")
	do {
		name = token("\"([^\"\\\\]|\\\\.)*\"", "a member's name")
		expect(":")
		value = token("\"([^\"\\\\]|\\\\.)*\"|-?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?", "a string or a number")
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

# token removes a token that matches form from the text, and returns it. A string is returned without its quotes. A string
# with a comma or an escape is an error: no name of an energy source has one.
function token(form, what,    found) {
	skip()
	if (match(text, "^(" form ")") != 1) fail("expected " what)
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

function expect(character) { if (!next_is(character)) fail("expected " character) }

function skip() { sub(/^[ \t\r\n]+/, "", text) }

function fail(cause) {
	printf "rows: row %d: %s, at: %s\n", row, cause, substr(text, 1, 40) > "/dev/stderr"
	exit 1
}
