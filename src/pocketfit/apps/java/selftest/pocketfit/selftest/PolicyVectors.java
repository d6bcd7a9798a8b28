package pocketfit.selftest;

import java.io.BufferedReader;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import pocketfit.Decision;
import pocketfit.Json;
import pocketfit.Policy;
import pocketfit.PolicyEngine;
import pocketfit.Reading;

/** Policies, readings and decisions, one case a line. */
final class PolicyVectors {
    private final Json decisions;
    private final Policy policy;
    private final Map<Reading.Sensor, List<Json>> sensors = new HashMap<>();
    private final Json readings;

    private PolicyVectors(Json test) {
        policy = Policy.fromJson(test.at("policy"));
        readings = test.at("readings");
        decisions = test.at("decisions");
        for (Reading.Sensor sensor : Reading.Sensor.values()) {
            sensors.put(sensor, readings.at(sensor.name().toLowerCase(Locale.ROOT)).items());
        }
    }

    static Suite replay(File file) throws IOException {
        Suite suite = new Suite("policy");
        try (BufferedReader lines =
                        new BufferedReader(new InputStreamReader(new FileInputStream(file), StandardCharsets.UTF_8))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                Json test = Json.parse(line);
                suite.count(new PolicyVectors(test).replay(), test.at("name").string());
            }
        }
        return suite;
    }

    private boolean replay() {
        PolicyEngine engine = new PolicyEngine(policy);
        for (int frame = 0; frame < sensors.get(Reading.Sensor.SCENE).size(); frame++) {
            if (!same(engine.step(reading(frame)), frame)) {
                return false;
            }
        }
        return true;
    }

    private Reading reading(int frame) {
        Reading reading = new Reading();
        reading.timeMs = cell(readings, "time_ms", frame).integer();
        reading.inFlight = cell(readings, "in_flight", frame).small();
        reading.ready = cell(readings, "ready", frame).bool();
        for (Map.Entry<Reading.Sensor, List<Json>> told : sensors.entrySet()) {
            Json value = told.getValue().get(frame);
            if (!value.isNull()) {
                set(reading, told.getKey(), value);
            }
        }
        return reading;
    }

    private static void set(Reading reading, Reading.Sensor sensor, Json value) {
        if (sensor == Reading.Sensor.SCENE) {
            reading.scene = value.string();
        } else if (sensor == Reading.Sensor.CHARGING || sensor == Reading.Sensor.LOW_POWER) {
            reading.set(sensor, value.bool() ? 1 : 0);
        } else {
            reading.set(sensor, value.integer());
        }
    }

    private boolean same(Decision decision, int frame) {
        return policy.ruleName(decision.rule).equals(cell(decisions, "rule", frame).string())
                && policy.variants.get(decision.variant).name.equals(cell(decisions, "variant", frame).string())
                && decision.action.name().equalsIgnoreCase(cell(decisions, "action", frame).string())
                && decision.command.name().equalsIgnoreCase(cell(decisions, "command", frame).string())
                && decision.dropPending == cell(decisions, "drop_pending", frame).bool()
                && decision.reset == cell(decisions, "reset", frame).bool();
    }

    private static Json cell(Json columns, String name, int frame) {
        return columns.at(name).items().get(frame);
    }
}
