package com.ferry.interop;

import static com.ferry.interop.Consumer.cell;
import static com.ferry.interop.Consumer.want;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.dubbo.rpc.RpcContext;
import org.apache.dubbo.rpc.RpcException;
import org.apache.dubbo.rpc.service.EchoService;
import org.apache.dubbo.rpc.service.GenericException;
import org.apache.dubbo.rpc.service.GenericService;

/** The cells about kinds of calls, as a Java consumer makes them. */
final class CallCells {
    private static final int MIB = 1 << 20;
    private final References refs;
    private final Calls calls;

    CallCells(References refs) {
        this.refs = refs;
        this.calls = refs.calls();
    }

    void run() {
        plain();
        payloads();
        failures();
        generic();
        async();
    }

    private void plain() {
        cell("calls/overloads", () -> {
            want("none", calls.overload());
            want("String a", calls.overload("a"));
            want("int 1", calls.overload(1));
            want("Integer 2", calls.overload(Integer.valueOf(2)));
            want("long 3", calls.overload(3L));
            want("List a,b", calls.overload(new ArrayList<>(Arrays.asList("a", "b"))));
            want("String,int a 4", calls.overload("a", 4));
        });
        cell("calls/no arguments", calls::nothing);
        cell("calls/one way", () -> {
            String token = UUID.randomUUID().toString();
            calls.oneWay(token);
            boolean seen = false;
            for (int i = 0; !seen && i < 100; i++) {
                seen = calls.oneWaySeen(token);
                Thread.sleep(seen ? 0 : 20);
            }
            want(true, seen);
        });
        if (refs.overTri()) { // which carries them as headers
            cell("calls/attachments both ways", () -> attachment("blau ~"));
            cell("calls/attachments beyond ASCII", () -> attachment("blau 中"));
        } else {
            cell("calls/attachments both ways", () -> attachment("blau 中"));
        }
        cell("calls/group and version", () -> {
            want("none", calls.where());
            want("g1/1.0.0", refs.calls("g1", "1.0.0").where());
            want("g2/2.0.0", refs.calls("g2", "2.0.0").where());
        });
        cell("calls/group *", () -> {
            want("g1/1.0.0", refs.calls("*", "1.0.0").where());
            want("g2/2.0.0", refs.calls("*", "2.0.0").where());
        });
        cell("calls/group * and version *", () -> {
            Calls any = refs.calls("*", "*");
            for (int i = 0; i < 12; i++) {
                want(true, Arrays.asList("none", "g1/1.0.0", "g2/2.0.0").contains(any.where()));
            }
        });
        cell("calls/$echo", () -> {
            want("ok", ((EchoService) calls).$echo("ok"));
            want(new ArrayList<>(Arrays.asList("a", 1)), ((EchoService) calls).$echo(new ArrayList<>(Arrays.asList("a", 1))));
        });
        cell("calls/objects in lists", () -> {
            List<Person> list = calls.family(new ArrayList<>(Arrays.asList(Samples.mia(), Samples.tom())), Color.BLUE);
            want(2, list.size());
            want(Color.BLUE, list.get(1).getFavourite());
        });
    }

    private void attachment(String value) {
        RpcContext.getContext().setAttachment("colour", value);
        want(value, calls.attachment("colour"));
        want("got " + value, RpcContext.getServerContext().getAttachment("reply-colour"));
    }

    private void payloads() {
        cell("calls/7 MiB both ways", () -> want(Samples.blob(7 * MIB), calls.big(Samples.blob(7 * MIB))));
        cell("calls/request past the limit", () -> {
            String e = Consumer.describe(rpc(() -> calls.big(new byte[9 * MIB])));
            if (!e.contains("8388608") && !e.contains("payload")) {
                throw new AssertionError(e);
            }
            calls.nothing();
        });
        cell("calls/reply past the limit", () -> {
            rpc(() -> calls.make(9 * MIB));
            calls.nothing();
        });
    }

    private void failures() {
        cell("calls/exception checked", () -> {
            CheckedException e = thrown(CheckedException.class, () -> calls.fail("checked"));
            want("checked message", e.getMessage());
            want(42, e.getCode());
        });
        cell("calls/exception runtime", () -> {
            RuntimeException e = thrown(RuntimeException.class, () -> calls.fail("runtime"));
            want("runtime message", e.getMessage());
        });
        cell("calls/exception custom", () -> {
            CustomException e = thrown(CustomException.class, () -> calls.fail("custom"));
            want("custom message", e.getMessage());
            want("more", e.getDetail());
        });
        cell("calls/exception undeclared", () -> {
            RuntimeException e = thrown(UndeclaredException.class, () -> calls.fail("undeclared"));
            want("undeclared message", e.getMessage());
        });
        cell("calls/exception with cause", () -> want("outer", thrown(Exception.class, () -> calls.fail("cause")).getMessage().split(":")[0]));
        cell("calls/exception without message", () -> {
            String m = thrown(RuntimeException.class, () -> calls.fail("empty")).getMessage();
            want(true, m == null || m.isEmpty());
        });
        cell("calls/timeout of the consumer", () -> {
            want("slept 10", calls.sleep(10));
            timeout(rpc(() -> calls.sleep(4000)));
        });
        cell("calls/timeout of the provider's URL", () -> {
            Calls other = refs.napping();
            want("slept 10", other.nap(10));
            timeout(rpc(() -> other.nap(4000)));
        });
        cell("calls/unknown method", () -> {
            Throwable e = thrown(Exception.class, () -> refs.generic(Calls.class.getName(), null, null).$invoke("nowhere", new String[0], new Object[0]));
            want(true, Consumer.describe(e).contains("nowhere"));
        });
        if (!refs.setup().get("direct", "").isEmpty()) {
            cell("calls/unknown service", () -> {
                long began = System.nanoTime();
                thrown(RpcException.class, () -> refs.nowhere().$invoke("x", new String[0], new Object[0]));
                want(true, System.nanoTime() - began < 15_000_000_000L);
            });
        }
    }

    private static void timeout(RpcException e) {
        // Over tri two timers of Dubbo's race, and one of them gives its exception no code.
        if (!e.isTimeout() && !Consumer.describe(e).contains("DEADLINE_EXCEEDED : Waiting server-side response timeout")) {
            throw new AssertionError("code " + e.getCode() + ": " + Consumer.describe(e));
        }
    }

    private void generic() {
        GenericService g = refs.generic(Calls.class.getName(), null, null);
        cell("calls/generic", () -> {
            want("String,int a 4", g.$invoke("overload", new String[] {"java.lang.String", "int"}, new Object[] {"a", 4}));
            want("long 5", g.$invoke("overload", new String[] {"long"}, new Object[] {5L}));
        });
        cell("calls/generic with maps for objects", () -> {
            Map<String, Object> p = new HashMap<>();
            p.put("class", "com.ferry.interop.Person");
            p.put("name", "Mia");
            p.put("age", 30);
            p.put("favourite", "GREEN");
            Map<?, ?> older = (Map<?, ?>) g.$invoke("older", new String[] {"com.ferry.interop.Person", "int"}, new Object[] {p, 2});
            want("Mia", older.get("name"));
            want(32, older.get("age"));
            want("GREEN", String.valueOf(older.get("favourite")));
            want("com.ferry.interop.Person", older.get("class"));
            List<?> family = (List<?>) g.$invoke("family", new String[] {"java.util.List", "com.ferry.interop.Color"},
                new Object[] {new ArrayList<>(Arrays.asList(p)), "RED"});
            want("RED", String.valueOf(((Map<?, ?>) family.get(0)).get("favourite")));
        });
        cell("calls/generic exception", () -> {
            GenericException e = thrown(GenericException.class, () -> g.$invoke("fail", new String[] {"java.lang.String"}, new Object[] {"checked"}));
            want("checked message", e.getExceptionMessage());
            want("com.ferry.interop.CheckedException", e.getExceptionClass());
        });
    }

    private void async() {
        cell("calls/async by CompletableFuture", () -> want("later Mia", calls.later("Mia").get(10, TimeUnit.SECONDS)));
        cell("calls/async by RpcContext", () -> {
            Future<String> f = RpcContext.getContext().asyncCall(() -> calls.overload("b"));
            want("String b", f.get(10, TimeUnit.SECONDS));
        });
    }

    private static RpcException rpc(Consumer.Check call) {
        return thrown(RpcException.class, call);
    }

    private static <T extends Throwable> T thrown(Class<T> type, Consumer.Check call) {
        try {
            call.run();
        } catch (Throwable e) {
            if (type.isInstance(e)) {
                return type.cast(e);
            }
            throw new AssertionError("thrown was " + Consumer.describe(e), e);
        }
        throw new AssertionError("nothing was thrown");
    }
}
