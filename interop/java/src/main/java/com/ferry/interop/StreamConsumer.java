package com.ferry.interop;

import com.ferry.interop.idl.Shop;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import org.apache.dubbo.common.stream.StreamObserver;
import org.apache.dubbo.config.ReferenceConfig;

/** Calls StreamApi, ProtoApi and Shop at url=tri://host:port; the command streams [WORD] has it make its cells, or those with that word. For Dubbo 3 alone. */
public final class StreamConsumer {
    private static final int MANY = 1000;

    private final StreamApi streams;
    private final ProtoApi proto;
    private final Shop shop;

    private StreamConsumer(Setup setup) {
        streams = refer(setup, StreamApi.class);
        proto = refer(setup, ProtoApi.class);
        shop = refer(setup, Shop.class);
    }

    private static <T> T refer(Setup setup, Class<T> api) {
        ReferenceConfig<T> r = new ReferenceConfig<>();
        r.setApplication(setup.application());
        r.setInterface(api);
        r.setUrl(setup.get("url", "") + "/" + api.getName());
        r.setTimeout(20000);
        r.setRetries(0);
        r.setCheck(false);
        return r.get();
    }

    public static void main(String[] args) throws Exception {
        StreamConsumer c = new StreamConsumer(new Setup(args));
        Setup.say("READY");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.trim().split(" ");
            if (words[0].equals("streams")) {
                Consumer.only = words.length > 1 ? words[1] : "";
                c.cells();
            }
            Setup.say("DONE");
        }
        System.exit(0);
    }

    private void cells() {
        cell("streams/server", () -> StreamReceived.<String>of(out -> streams.count("3", out)).was("n0", "n1", "n2"));
        cell("streams/server, no message", () -> StreamReceived.<String>of(out -> streams.count("0", out)).was());
        cell("streams/server, 1000 messages", () -> StreamReceived.<String>of(out -> streams.count("" + MANY, out)).counted(MANY));
        cell("streams/server, fails in the middle", () -> StreamReceived.<String>of(out -> streams.count("2:half way", out)).failed("half way", "n0", "n1"));
        cell("streams/server, objects", () -> people());
        cell("streams/bidirectional", () -> talk("a", "中😀", ""));
        cell("streams/bidirectional, objects", () -> meet());
        cell("streams/bidirectional, fails in the middle", () -> failing());
        cell("streams/client", () -> {
            StreamReceived<String> r = new StreamReceived<>();
            StreamReceived.send(streams.collect(r), "a", "b", "c");
            r.was("a,b,c");
        });
        cell("streams/given up by the consumer", () -> cut());
        new StreamHardCells(streams).run();
        new ProtoCells(proto).run();
        new StreamShopCells(shop).run();
    }

    private static void cell(String name, Consumer.Check check) {
        Consumer.cell(name, check);
    }

    private void talk(String... words) throws Exception {
        StreamReceived<String> r = new StreamReceived<>();
        StreamReceived.send(streams.talk(r), words);
        r.was(words);
    }

    private void people() throws Exception {
        StreamReceived<Person> r = StreamReceived.of(out -> streams.people(StreamReceived.ann(30), out));
        Person[] want = new Person[10];
        for (int i = 0; i < want.length; i++) {
            want[i] = StreamReceived.ann(30 + i);
        }
        r.was(want);
    }

    private void meet() throws Exception {
        StreamReceived<Person> r = new StreamReceived<>();
        StreamReceived.send(streams.meet(r), StreamReceived.ann(1), StreamReceived.ann(2));
        r.was(StreamReceived.ann(2), StreamReceived.ann(3));
    }

    private void failing() throws Exception {
        StreamReceived<String> r = new StreamReceived<>();
        StreamObserver<String> to = streams.talk(r);
        to.onNext("a");
        Consumer.want("a", r.next());
        to.onNext("fail");
        r.failed("told to fail", "a");
    }

    private void cut() throws Exception {
        int before = streams.cut();
        StreamReceived<String> r = new StreamReceived<>();
        streams.count("endless", r);
        Consumer.want("n0", r.next());
        r.cancel(new IllegalStateException("enough"));
        StreamHardCells.ended(streams, before);
    }
}
