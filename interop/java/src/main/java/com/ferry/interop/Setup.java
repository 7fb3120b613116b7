package com.ferry.interop;

import java.util.HashMap;
import java.util.Map;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.ProtocolConfig;
import org.apache.dubbo.config.RegistryConfig;
import org.apache.dubbo.config.bootstrap.DubboBootstrap;

/** What provider and consumer read from their command lines: words of the form key=value. */
final class Setup {
    private final Map<String, String> values = new HashMap<>();

    Setup(String[] args) {
        for (String a : args) {
            int i = a.indexOf('=');
            values.put(a.substring(0, i), a.substring(i + 1));
        }
    }

    String get(String key, String otherwise) {
        return values.getOrDefault(key, otherwise);
    }

    ApplicationConfig application() {
        ApplicationConfig a = new ApplicationConfig(get("application", "java"));
        a.setQosEnable(false);
        return a;
    }

    RegistryConfig registry() {
        RegistryConfig r = new RegistryConfig(get("registry", "N/A"));
        r.setTimeout(10000);
        return r;
    }

    /**
     * Makes the settings those of the whole program, as Spring does, when the word whole=true asks for it. Dubbo 3 takes a registry
     * for its metadata, too, only then.
     */
    void whole(ApplicationConfig application, RegistryConfig registry, ProtocolConfig protocol) {
        if (get("whole", "").isEmpty()) {
            return;
        }
        DubboBootstrap b = DubboBootstrap.getInstance().application(application).registry(registry);
        if (protocol != null) {
            b.protocol(protocol);
        }
    }

    /** One line of the protocol between these programs and the one that started them. */
    static synchronized void say(String line) {
        System.out.println(line.replace('\n', ' ').replace('\r', ' '));
        System.out.flush();
    }
}
