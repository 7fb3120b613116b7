package com.ferry.interop;

import com.google.protobuf.Int32Value;
import com.google.protobuf.StringValue;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.dubbo.common.stream.StreamObserver;
import org.apache.dubbo.config.ReferenceConfig;
import org.apache.dubbo.rpc.RpcContext;
import org.apache.dubbo.rpc.protocol.tri.CancelableStreamObserver;

/** Calls StreamApi and ProtoApi at url=tri://host:port; the command streams has it make its cells. For Dubbo 3 alone. */
public final class StreamConsumer {
    private static final int MANY = 1000;

    private final StreamApi streams;
    private final ProtoApi proto;

    private StreamConsumer(Setup setup) {
        streams = refer(setup, StreamApi.class);
        proto = refer(setup, ProtoApi.class);
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
            if (line.trim().equals("streams")) {
                c.cells();
            }
            Setup.say("DONE");
        }
        System.exit(0);
    }

    private void cells() {
        cell("streams/server", () -> this.<String>received(out -> streams.count("3", out)).was("n0", "n1", "n2"));
        cell("streams/server, no message", () -> this.<String>received(out -> streams.count("0", out)).was());
        cell("streams/server, 1000 messages", () -> this.<String>received(out -> streams.count("" + MANY, out)).counted(MANY));
        cell("streams/server, fails in the middle", () -> this.<String>received(out -> streams.count("2:half way", out)).failed("half way", "n0", "n1"));
        cell("streams/server, objects", () -> people());
        cell("streams/bidirectional", () -> talk("a", "中😀", ""));
        cell("streams/bidirectional, objects", () -> meet());
        cell("streams/bidirectional, fails in the middle", () -> failing());
        cell("streams/client", () -> {
            Received<String> r = new Received<>();
            send(streams.collect(r), "a", "b", "c");
            r.was("a,b,c");
        });
        cell("streams/given up by the consumer", () -> cut());
        cell("protobuf/unary", () -> Consumer.want("hello Mia", proto.greet(StringValue.of("Mia")).getValue()));
        cell("protobuf/attachments both ways", () -> attachments());
        cell("protobuf/failure with code and text", () -> failure());
        cell("protobuf/server stream", () -> this.<StringValue>received(out -> proto.count(Int32Value.of(2), out))
                .was(StringValue.of("n0"), StringValue.of("n1")));
        cell("protobuf/bidirectional stream", () -> {
            Received<StringValue> r = new Received<>();
            send(proto.talk(r), StringValue.of("a"), StringValue.of("b"));
            r.was(StringValue.of("a"), StringValue.of("b"));
        });
    }

    private static void cell(String name, Consumer.Check check) {
        Consumer.cell(name, check);
    }

    private interface Call<T> {
        void with(StreamObserver<T> out) throws Exception;
    }

    private <T> Received<T> received(Call<T> call) throws Exception {
        Received<T> r = new Received<>();
        call.with(r);
        return r;
    }

    @SafeVarargs
    private static <T> void send(StreamObserver<T> to, T... all) {
        for (T one : all) {
            to.onNext(one);
        }
        to.onCompleted();
    }

    private void talk(String... words) throws Exception {
        Received<String> r = new Received<>();
        send(streams.talk(r), words);
        r.was(words);
    }

    private static Person ann(int age) {
        Person p = new Person("Ann", age);
        p.setFavourite(Color.GREEN);
        p.setTags(new ArrayList<>(Arrays.asList("x", "中")));
        return p;
    }

    private void people() throws Exception {
        Received<Person> r = received(out -> streams.people(ann(30), out));
        Person[] want = new Person[10];
        for (int i = 0; i < want.length; i++) {
            want[i] = ann(30 + i);
        }
        r.was(want);
    }

    private void meet() throws Exception {
        Received<Person> r = new Received<>();
        send(streams.meet(r), ann(1), ann(2));
        r.was(ann(2), ann(3));
    }

    private void failing() throws Exception {
        Received<String> r = new Received<>();
        StreamObserver<String> to = streams.talk(r);
        to.onNext("a");
        Consumer.want("a", r.next());
        to.onNext("fail");
        r.failed("told to fail", "a");
    }

    private void cut() throws Exception {
        int before = streams.cut();
        Received<String> r = new Received<>();
        streams.count("endless", r);
        Consumer.want("n0", r.next());
        r.cancel(new IllegalStateException("enough"));
        for (int i = 0; streams.cut() == before; i++) {
            if (i > 1000) {
                throw new AssertionError("the provider goes on");
            }
            Thread.sleep(10);
        }
    }

    private void attachments() {
        RpcContext.getClientAttachment().setAttachment("colour", "blau");
        Consumer.want("blau", proto.greet(StringValue.of("colour")).getValue());
        Consumer.want("got blau", String.valueOf(RpcContext.getClientResponseContext().getAttachment("reply-colour")));
    }

    private void failure() {
        try {
            proto.greet(StringValue.of("fail"));
        } catch (RuntimeException e) {
            String text = Consumer.describe(e);
            if (!text.contains("NOT_FOUND") || !text.contains("nobody is called fail")) {
                throw e;
            }
            return;
        }
        throw new AssertionError("nothing failed");
    }

    /** What came on a stream. */
    private static final class Received<T> extends CancelableStreamObserver<T> {
        private final BlockingQueue<T> next = new LinkedBlockingQueue<>();
        private final List<T> all = new ArrayList<>();
        private final BlockingQueue<Object> end = new LinkedBlockingQueue<>();

        @Override
        public void onNext(T message) {
            all.add(message);
            next.add(message);
        }

        @Override
        public void onError(Throwable t) {
            end.add(t);
        }

        @Override
        public void onCompleted() {
            end.add("completed");
        }

        T next() throws InterruptedException {
            return next.poll(10, TimeUnit.SECONDS);
        }

        private Object end() throws InterruptedException {
            Object e = end.poll(20, TimeUnit.SECONDS);
            if (e == null) {
                throw new AssertionError("the stream does not end; came " + all.size());
            }
            return e;
        }

        @SafeVarargs
        final void was(T... want) throws Exception {
            completed();
            Consumer.want(Arrays.asList(want), all);
        }

        void counted(int n) throws Exception {
            completed();
            Consumer.want(n, all.size());
            Consumer.want("n" + (n - 1), all.get(n - 1));
        }

        private void completed() throws Exception {
            Object e = end();
            if (e instanceof Throwable) {
                throw new AssertionError(Consumer.describe((Throwable) e));
            }
        }

        @SafeVarargs
        final void failed(String text, T... want) throws Exception {
            Object e = end();
            if (!(e instanceof Throwable) || !Consumer.describe((Throwable) e).contains(text)) {
                throw new AssertionError("ended with " + (e instanceof Throwable ? Consumer.describe((Throwable) e) : e));
            }
            Consumer.want(Arrays.asList(want), all);
        }
    }
}
