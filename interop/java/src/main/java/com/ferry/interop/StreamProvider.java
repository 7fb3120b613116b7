package com.ferry.interop;

import com.ferry.interop.idl.Shop;
import com.ferry.interop.idl.ShopImpl;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import org.apache.dubbo.config.ProtocolConfig;
import org.apache.dubbo.config.ServiceConfig;

/** Serves StreamApi, ProtoApi and Shop over tri at port=n until its standard input ends. For Dubbo 3 alone. */
public final class StreamProvider {
    private StreamProvider() {
    }

    public static void main(String[] args) throws Exception {
        Setup setup = new Setup(args);
        ProtocolConfig protocol = new ProtocolConfig("tri", Integer.parseInt(setup.get("port", "50051")));
        export(setup, protocol, StreamApi.class, new StreamApiImpl());
        export(setup, protocol, ProtoApi.class, new ProtoApiImpl());
        export(setup, protocol, Shop.class, new ShopImpl());
        Setup.say("READY");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        while (in.readLine() != null) {
            // Only the end of the input means anything.
        }
        System.exit(0); // Dubbo's shutdown hook does the rest
    }

    private static <T> void export(Setup setup, ProtocolConfig protocol, Class<T> api, T impl) {
        ServiceConfig<T> s = new ServiceConfig<>();
        s.setApplication(setup.application());
        s.setRegistry(setup.registry());
        s.setProtocol(protocol);
        s.setInterface(api);
        s.setRef(impl);
        s.export();
    }
}
