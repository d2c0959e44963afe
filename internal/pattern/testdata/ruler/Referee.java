import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import software.amazon.event.ruler.GenericMachine;
import software.amazon.event.ruler.JsonRuleCompiler;
import software.amazon.event.ruler.Patterns;

/**
 * AWS's event-ruler as a referee. Each line of the input is {"pattern": "…", "event": "…"}, both as
 * JSON text in a string; each line of the output is true, false or error (the pattern is not valid).
 *
 * <p>With "apart": true, the pattern is taken apart first, into one rule for each choice of one
 * alternative per field, and each rule has a machine of its own. By the user guide an array and $or
 * match if any of their entries does, so the answer ought to be the same. It is not always: the
 * alternatives of one field share a trie, and some of them spoil each other there.
 */
public class Referee {
    private static final int MOST_CHOICES = 20_000;

    public static void main(String[] args) throws IOException {
        ObjectMapper mapper = new ObjectMapper();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        BufferedWriter out = new BufferedWriter(new OutputStreamWriter(System.out, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonNode pair = mapper.readTree(line);
            out.write(judge(pair.get("pattern").textValue(), pair.get("event").textValue(), pair.path("apart").asBoolean()));
            out.newLine();
        }
        out.flush();
    }

    /**
     * GenericMachine.addRule would try an older compiler, without $or, on what this one refuses. The
     * user guide knows the newer grammar only.
     */
    static String judge(String pattern, String event, boolean apart) {
        List<Map<String, List<Patterns>>> rules;
        try {
            rules = JsonRuleCompiler.compile(pattern);
            if (!apart) {
                return String.valueOf(matches(rules, event));
            }
        } catch (Exception e) {
            return "error";
        }
        try {
            for (Map<String, List<Patterns>> choice : choices(rules)) {
                if (matches(List.of(choice), event)) {
                    return "true";
                }
            }
            return "false";
        } catch (Exception e) {
            return e.toString();
        }
    }

    static boolean matches(List<Map<String, List<Patterns>>> rules, String event) throws Exception {
        GenericMachine<String> machine = GenericMachine.<String>builder().build();
        rules.forEach(rule -> machine.addPatternRule("rule", rule));
        return !machine.rulesForJSONEvent(event).isEmpty();
    }

    static List<Map<String, List<Patterns>>> choices(List<Map<String, List<Patterns>>> rules) {
        List<Map<String, List<Patterns>>> all = new ArrayList<>();
        for (Map<String, List<Patterns>> rule : rules) {
            List<Map<String, List<Patterns>>> chosen = List.of(Map.of());
            for (Map.Entry<String, List<Patterns>> field : rule.entrySet()) {
                List<Map<String, List<Patterns>>> more = new ArrayList<>();
                for (Map<String, List<Patterns>> choice : chosen) {
                    for (Patterns alternative : field.getValue()) {
                        Map<String, List<Patterns>> next = new HashMap<>(choice);
                        next.put(field.getKey(), List.of(alternative));
                        more.add(next);
                    }
                }
                if (more.size() > MOST_CHOICES) {
                    throw new IllegalStateException("too many choices to take apart");
                }
                chosen = more;
            }
            all.addAll(chosen);
        }
        return all;
    }
}
