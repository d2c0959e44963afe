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
 * Matches events with AWS's event-ruler. Each line of the input is {"pattern": "…", "event": "…"}; both
 * values are strings that hold JSON text. Each line of the output is true, false, or error if the
 * pattern is invalid.
 *
 * <p>With "split": true, the class first splits the pattern into one rule for each choice of one
 * alternative per field, and gives each rule its own machine. By the user guide, an array and $or match
 * if any of their entries matches, so the result should be the same. It is not always the same: the
 * alternatives of one field share a trie, and some of them hide each other there.
 */
public class Reference {
    private static final int MAX_CHOICES = 20_000;

    public static void main(String[] args) throws IOException {
        ObjectMapper mapper = new ObjectMapper();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        BufferedWriter out = new BufferedWriter(new OutputStreamWriter(System.out, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonNode pair = mapper.readTree(line);
            String pattern = pair.get("pattern").textValue();
            String event = pair.get("event").textValue();
            out.write(evaluate(pattern, event, pair.path("split").asBoolean()));
            out.newLine();
        }
        out.flush();
    }

    /**
     * Returns true, false or error. It does not use GenericMachine.addRule: for a pattern that
     * JsonRuleCompiler rejects, that method tries an older compiler without $or. The user guide
     * describes the newer grammar only.
     */
    static String evaluate(String pattern, String event, boolean split) {
        List<Map<String, List<Patterns>>> rules;
        try {
            rules = JsonRuleCompiler.compile(pattern);
            if (!split) {
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

    /** Reports whether one machine with all the rules matches the event. */
    static boolean matches(List<Map<String, List<Patterns>>> rules, String event) throws Exception {
        GenericMachine<String> machine = GenericMachine.<String>builder().build();
        rules.forEach(rule -> machine.addPatternRule("rule", rule));
        return !machine.rulesForJSONEvent(event).isEmpty();
    }

    /** Splits each rule into one rule for each choice of one alternative per field. */
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
                if (more.size() > MAX_CHOICES) {
                    throw new IllegalStateException("the pattern splits into more than " + MAX_CHOICES + " rules");
                }
                chosen = more;
            }
            all.addAll(chosen);
        }
        return all;
    }
}
