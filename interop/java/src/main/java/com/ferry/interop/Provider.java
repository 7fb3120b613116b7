package com.ferry.interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.function.Supplier;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.MethodConfig;
import org.apache.dubbo.config.ProtocolConfig;
import org.apache.dubbo.config.RegistryConfig;
import org.apache.dubbo.config.ServiceConfig;

/**
 * Serves Types and Calls until its standard input ends, then shuts down as Dubbo does when it is told to stop.
 *
 * <p>Words: registry=zookeeper://host:port, port=n, application=name, protocol=dubbo|tri,
 * who=name (what who answers, else the application), tag=name, telnet=commands.
 */
public final class Provider {
    private final ApplicationConfig application;
    private final RegistryConfig registry;
    private final ProtocolConfig protocol;
    private final String tag;

    private Provider(Setup setup) {
        application = setup.application();
        registry = setup.registry();
        protocol = new ProtocolConfig(setup.get("protocol", "dubbo"), Integer.parseInt(setup.get("port", "20880")));
        protocol.setThreads(50);
        protocol.setTelnet(setup.get("telnet", null));
        tag = setup.get("tag", null);
        setup.whole(application, registry, protocol);
    }

    public static void main(String[] args) throws Exception {
        Setup setup = new Setup(args);
        Provider p = new Provider(setup);
        String who = setup.get("who", setup.get("application", "java"));
        p.export(Types.class, types(), null, null);
        p.export(Calls.class, new CallsImpl(who, "none"), null, null);
        p.export(Calls.class, new CallsImpl(who, "g1/1.0.0"), "g1", "1.0.0");
        p.export(Calls.class, new CallsImpl(who, "g2/2.0.0"), "g2", "2.0.0");
        Setup.say("READY");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        while (in.readLine() != null) {
            // Only the end of the input means anything.
        }
        System.exit(0); // Dubbo's shutdown hook does the rest
    }

    private <T> void export(Class<T> api, T impl, String group, String version) {
        ServiceConfig<T> s = new ServiceConfig<>();
        s.setApplication(application);
        s.setRegistry(registry);
        s.setProtocol(protocol);
        s.setInterface(api);
        s.setRef(impl);
        s.setGroup(group);
        s.setVersion(version);
        s.setTag(tag);
        if (api == Calls.class) {
            MethodConfig nap = new MethodConfig();
            nap.setName("nap");
            nap.setTimeout(700);
            s.setMethods(Collections.singletonList(nap));
        }
        s.export();
    }

    /** Types for every method alike: the argument must be the sample of that name, and the sample is the answer. */
    private static Types types() {
        InvocationHandler h = (proxy, method, args) -> {
            if (method.getDeclaringClass() == Object.class) {
                return method.getName().equals("hashCode") ? (Object) 1 : method.getName().equals("equals") ? (Object) (proxy == args[0]) : "Types";
            }
            Supplier<Object> sample = Samples.of(method.getName()).get(String.valueOf(args[0]));
            if (sample == null) {
                return args[1];
            }
            Object want = sample.get();
            if (!Samples.same(want, args[1])) {
                throw new IllegalArgumentException("the provider got " + Samples.show(args[1]) + ", not " + Samples.show(want) + Samples.difference());
            }
            return Samples.sent(method.getName(), String.valueOf(args[0]));
        };
        return (Types) Proxy.newProxyInstance(Types.class.getClassLoader(), new Class<?>[] {Types.class}, h);
    }
}
