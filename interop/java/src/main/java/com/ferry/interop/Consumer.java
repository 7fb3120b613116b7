package com.ferry.interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;
import java.util.Comparator;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;

/**
 * Calls a provider as its standard input says, a command a line, and says for each cell whether it went well:
 *
 * <pre>
 * types          CELL types/aBoolean OK     for each method of Types, then DONE
 * calls [WORD]   the same for the kinds of calls, or only for the cells with that word in their names
 * who            WHO application            one call
 * loop           starts calling without a pause
 * await NAME     waits until the loop has reached that provider
 * rule KEY TEXT  publishes a rule, which is in base64; without TEXT it is taken away
 * tagged TAG     SPREAD providers   of calls with that tag
 * spread         SPREAD providers   of fifty calls
 * picks N        PICKS provider,...  of N keys, by consistent hash
 * stop           LOOP calls failures providers last-failure, and before it UNSENT calls, if there are any
 * </pre>
 *
 * <p>Words: url=dubbo://host:port or registry=zookeeper://host:port, protocol=dubbo|tri (what to expect), application=name,
 * retries=n (none unless it is said).
 */
public final class Consumer {
    private Consumer() {
    }

    public static void main(String[] args) throws Exception {
        References refs = new References(new Setup(args));
        Loop loop = null;
        Setup.say("READY");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.trim().split(" ");
            switch (words[0]) {
                case "types":
                    types(refs.types());
                    Setup.say("DONE");
                    break;
                case "calls":
                    only = words.length > 1 ? words[1] : "";
                    new CallCells(refs).run();
                    Setup.say("DONE");
                    break;
                case "who":
                    cell("who", () -> Setup.say("WHO " + refs.calls().who()));
                    Setup.say("DONE");
                    break;
                case "loop":
                    loop = new Loop(refs.calls());
                    loop.start();
                    Setup.say("DONE");
                    break;
                case "rule":
                    Rules.publish(refs.setup(), words[1], words.length > 2 ? words[2] : null);
                    Setup.say("DONE");
                    break;
                case "tagged":
                    Rules.tagged(refs.calls(), words[1]);
                    Setup.say("DONE");
                    break;
                case "spread":
                    Rules.spread(refs.calls());
                    Setup.say("DONE");
                    break;
                case "picks":
                    Rules.picks(refs.hashed(), Integer.parseInt(words[1]));
                    Setup.say("DONE");
                    break;
                case "await":
                    loop.await(words[1]);
                    Setup.say("DONE");
                    break;
                case "stop":
                    String account = loop.end();
                    if (loop.unsent > 0) {
                        Setup.say("UNSENT " + loop.unsent);
                    }
                    Setup.say("LOOP " + account);
                    Setup.say("DONE");
                    break;
                default:
                    Setup.say("DONE unknown command " + line);
            }
        }
        System.exit(0);
    }

    /** What a cell does; anything thrown is its failure. */
    interface Check {
        void run() throws Throwable;
    }

    /** Cells without this in their name are left out. */
    static String only = "";

    static void cell(String name, Check check) {
        if (!name.contains(only)) {
            return;
        }
        try {
            check.run();
            Setup.say("CELL " + name + " OK");
        } catch (Throwable e) {
            Setup.say("CELL " + name + " FAIL " + describe(e));
        }
    }

    static String describe(Throwable e) {
        StringBuilder b = new StringBuilder();
        for (int i = 0; e != null && i < 4; i++, e = e.getCause()) {
            String text = String.valueOf(e.getMessage());
            b.append(i == 0 ? "" : " <- ").append(e.getClass().getName()).append(": ").append(text, 0, Math.min(text.length(), 700));
        }
        return b.toString();
    }

    static void want(Object want, Object got) {
        if (!Samples.same(want, got)) {
            throw new AssertionError("got " + Samples.show(got) + ", not " + Samples.show(want) + Samples.difference());
        }
    }

    private static void types(Types types) {
        Method[] methods = Types.class.getMethods();
        Arrays.sort(methods, Comparator.comparing(Method::getName));
        for (Method m : methods) {
            Map<String, Supplier<Object>> samples = Samples.of(m.getName());
            cell("types/" + m.getName(), () -> {
                if (samples.isEmpty()) {
                    throw new AssertionError("no samples");
                }
                StringBuilder bad = new StringBuilder();
                for (Map.Entry<String, Supplier<Object>> s : samples.entrySet()) {
                    try {
                        want(s.getValue().get(), m.invoke(types, s.getKey(), Samples.sent(m.getName(), s.getKey())));
                    } catch (Throwable e) {
                        bad.append("[").append(s.getKey()).append("] ").append(describe(e instanceof InvocationTargetException ? e.getCause() : e)).append(" ");
                    }
                }
                if (bad.length() > 0) {
                    throw new AssertionError(bad.toString());
                }
            });
        }
    }

    /** Calls one after the other and counts. */
    private static final class Loop extends Thread {
        private final Calls calls;
        private final Map<String, Integer> providers = new ConcurrentSkipListMap<>();
        private volatile boolean stop;
        private int made;
        private int failed;
        private int unsent;
        private String last = "";

        Loop(Calls calls) {
            this.calls = calls;
            setDaemon(true);
        }

        @Override
        public void run() {
            while (!stop) {
                made++;
                try {
                    providers.merge(calls.who(), 1, Integer::sum);
                } catch (Exception e) {
                    String text = describe(e);
                    // The channel says so before it sends, when this program has closed it itself because its provider left the registry.
                    if (text.contains("Failed to send request") && text.contains("is closed!")) {
                        unsent++;
                        continue;
                    }
                    failed++;
                    last = text;
                }
                LockSupport.parkNanos(1_000_000);
            }
        }

        void await(String provider) throws InterruptedException {
            for (int i = 0; i < 3000 && !providers.containsKey(provider); i++) {
                Thread.sleep(10);
            }
        }

        String end() throws InterruptedException {
            stop = true;
            join(20000);
            return made + " " + failed + " " + providers.toString().replace(" ", "") + " " + last;
        }
    }
}
