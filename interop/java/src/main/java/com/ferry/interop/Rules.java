package com.ferry.interop;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Set;
import java.util.TreeSet;
import org.apache.dubbo.common.URL;
import org.apache.dubbo.common.config.configcenter.DynamicConfiguration;
import org.apache.dubbo.common.config.configcenter.DynamicConfigurationFactory;
import org.apache.dubbo.common.extension.ExtensionLoader;
import org.apache.dubbo.rpc.RpcContext;

/** Governance: rules as Dubbo itself writes them, and whom calls reach. */
final class Rules {
    private static final String GROUP = "dubbo";

    private Rules() {
    }

    static void publish(Setup setup, String key, String base64) {
        URL registry = URL.valueOf(setup.get("registry", ""));
        DynamicConfiguration config = ExtensionLoader.getExtensionLoader(DynamicConfigurationFactory.class).getExtension("zookeeper")
            .getDynamicConfiguration(registry);
        if (base64 == null) {
            config.removeConfig(key, GROUP);
        } else {
            config.publishConfig(key, GROUP, new String(Base64.getDecoder().decode(base64), StandardCharsets.UTF_8));
        }
    }

    static void tagged(Calls calls, String tag) {
        Set<String> seen = new TreeSet<>();
        for (int i = 0; i < 50; i++) {
            RpcContext.getContext().setAttachment("dubbo.tag", tag);
            seen.add(ask(calls));
        }
        Setup.say("SPREAD " + String.join(",", seen));
    }

    static void spread(Calls calls) {
        Set<String> seen = new TreeSet<>();
        for (int i = 0; i < 50; i++) {
            seen.add(ask(calls));
        }
        Setup.say("SPREAD " + String.join(",", seen));
    }

    private static String ask(Calls calls) {
        try {
            return calls.who();
        } catch (RuntimeException e) {
            return "failed:" + Consumer.describe(e).replace(' ', '_').replace(',', ';');
        }
    }

    static void picks(Calls calls, int n) {
        StringBuilder b = new StringBuilder();
        for (int i = 0; i < n; i++) {
            b.append(i == 0 ? "" : ",").append(calls.whoFor("key-" + i));
        }
        Setup.say("PICKS " + b);
    }
}
