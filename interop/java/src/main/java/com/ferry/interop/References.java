package com.ferry.interop;

import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.MethodConfig;
import org.apache.dubbo.config.ReferenceConfig;
import org.apache.dubbo.config.RegistryConfig;
import org.apache.dubbo.rpc.service.GenericService;

/** Makes references, each when it is first asked for. */
final class References {
    private final Setup setup;
    private final ApplicationConfig application;
    private final RegistryConfig registry;
    private Types types;
    private Calls calls;
    private Calls hashed;

    References(Setup setup) {
        this.setup = setup;
        application = setup.application();
        registry = setup.registry();
        setup.whole(application, registry, null);
    }

    Setup setup() {
        return setup;
    }

    boolean overTri() {
        return setup.get("protocol", "dubbo").equals("tri");
    }

    private <T> ReferenceConfig<T> reference(Class<T> api, String path, String group, String version) {
        ReferenceConfig<T> r = new ReferenceConfig<>();
        r.setApplication(application);
        r.setRegistry(registry);
        if (!setup.get("url", "").isEmpty()) {
            r.setUrl(setup.get("url", "").replace(";", "/" + path + ";") + "/" + path);
        }
        r.setInterface(path);
        r.setGroup(group);
        r.setVersion(version);
        r.setTimeout(20000);
        r.setRetries(Integer.parseInt(setup.get("retries", "0")));
        r.setCheck(false);
        if (!setup.get("serialization", "").isEmpty()) {
            r.setParameters(new HashMap<>(Collections.singletonMap("serialization", setup.get("serialization", ""))));
        }
        return r;
    }

    Types types() {
        if (types == null) {
            types = reference(Types.class, Types.class.getName(), null, null).get();
        }
        return types;
    }

    Calls calls() {
        if (calls == null) {
            calls = calls(null, null);
        }
        return calls;
    }

    /** Calls without a timeout of its own, so that the provider's counts. */
    Calls napping() {
        ReferenceConfig<Calls> r = reference(Calls.class, Calls.class.getName(), null, null);
        r.setTimeout(null);
        return r.get();
    }

    Calls calls(String group, String version) {
        ReferenceConfig<Calls> r = reference(Calls.class, Calls.class.getName(), group, version);
        MethodConfig oneWay = new MethodConfig();
        oneWay.setName("oneWay");
        oneWay.setReturn(false);
        MethodConfig sleep = new MethodConfig();
        sleep.setName("sleep");
        sleep.setTimeout(1000);
        r.setMethods(Arrays.asList(oneWay, sleep));
        return r.get();
    }

    /** Calls balanced by a hash of the first argument. */
    Calls hashed() {
        if (hashed == null) {
            ReferenceConfig<Calls> r = reference(Calls.class, Calls.class.getName(), null, null);
            r.setLoadbalance("consistenthash");
            hashed = r.get();
        }
        return hashed;
    }

    /** A service that the provider at the address direct does not have. */
    GenericService nowhere() {
        ReferenceConfig<GenericService> r = reference(GenericService.class, "com.ferry.interop.Nowhere", null, null);
        r.setUrl(setup.get("protocol", "dubbo") + "://" + setup.get("direct", "") + "/com.ferry.interop.Nowhere");
        r.setGeneric("true");
        return r.get();
    }

    GenericService generic(String service, String group, String version) {
        ReferenceConfig<GenericService> r = reference(GenericService.class, service, group, version);
        r.setGeneric("true");
        return r.get();
    }
}
