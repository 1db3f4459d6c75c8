// SPDX-License-Identifier: Apache-2.0
//
// Mapping templates in Apache Velocity, the engine behind API Gateway's, with stand-ins for the
// variables that its reference describes.
//
// usage: java -cp ... Mapping.java < CASES     CASES: [{"template":..., "body":...}, ...]
//
// Prints a line for each case: {"output":..., "status":...}; status is responseOverride's, or null.
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import net.minidev.json.JSONObject;
import net.minidev.json.JSONStyle;
import net.minidev.json.JSONValue;
import org.apache.commons.lang.StringEscapeUtils;
import org.apache.velocity.VelocityContext;
import org.apache.velocity.app.VelocityEngine;

public class Mapping {
    private static final Pattern STEP = Pattern.compile("\\.(\\w+)|\\[(\\d+)\\]");

    /** $input */
    public static class Input {
        private final String body;
        private final Object document;

        Input(String body) {
            this.body = body;
            this.document = JSONValue.parse(body);
        }

        public String getBody() {
            return body;
        }

        /** $.name[0].name, which is all that the templates use. */
        public Object path(String path) {
            Object at = document;
            for (Matcher step = STEP.matcher(path.substring(1)); step.find();) {
                if (step.group(1) != null)
                    at = at instanceof Map ? ((Map<?, ?>) at).get(step.group(1)) : null;
                else
                    at = at instanceof List ? ((List<?>) at).get(Integer.parseInt(step.group(2)))
                                            : null;
            }
            return at;
        }

        public String json(String path) {
            Object found = path(path);
            return JSONValue.toJSONString(found == null ? "" : found, JSONStyle.NO_COMPRESS);
        }
    }

    /** $util */
    public static class Util {
        public String base64Encode(String text) {
            return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
        }

        public String base64Decode(String text) {
            return new String(Base64.getDecoder().decode(text), StandardCharsets.UTF_8);
        }

        public String escapeJavaScript(String text) {
            return StringEscapeUtils.escapeJavaScript(text);
        }
    }

    private static String run(VelocityEngine engine, Map<?, ?> one) {
        Map<String, Object> override = new HashMap<>();
        Map<String, Object> context = new HashMap<>();
        context.put("requestId", "request-1");
        context.put("responseOverride", override);
        VelocityContext variables = new VelocityContext();
        variables.put("input", new Input((String) one.get("body")));
        variables.put("util", new Util());
        variables.put("context", context);
        StringWriter output = new StringWriter();
        engine.evaluate(variables, output, "template", (String) one.get("template"));
        JSONObject result = new JSONObject();
        result.put("output", output.toString());
        result.put("status", override.get("status"));
        return result.toJSONString(JSONStyle.NO_COMPRESS);
    }

    public static void main(String[] arguments) throws Exception {
        VelocityEngine engine = new VelocityEngine();
        engine.setProperty("runtime.log.logsystem.class",
                           "org.apache.velocity.runtime.log.NullLogChute");
        engine.init();
        byte[] cases = System.in.readAllBytes();
        for (Object one : (List<?>) JSONValue.parse(new String(cases, StandardCharsets.UTF_8)))
            System.out.println(run(engine, (Map<?, ?>) one));
    }
}
