package com.ferry.interop;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.apache.dubbo.common.stream.StreamObserver;
import org.apache.dubbo.rpc.RpcContext;
import org.apache.dubbo.rpc.protocol.tri.CancelableStreamObserver;

/** Streams that are long, large, many, or badly ended. */
final class StreamHardCells {
    private static final int MANY = 1000;

    private final StreamApi streams;

    StreamHardCells(StreamApi streams) {
        this.streams = streams;
    }

    void run() {
        Consumer.cell("streams/server, fails before its first message",
                () -> StreamReceived.<String>of(out -> streams.count("throw", out)).failed("not even begun"));
        Consumer.cell("streams/server, an attachment", () -> attached());
        Consumer.cell("streams/server, 50 at once", () -> atOnce());
        Consumer.cell("streams/bidirectional, 1000 messages", () -> many());
        Consumer.cell("streams/bidirectional, 20 messages of 1 MiB", () -> large());
        Consumer.cell("streams/bidirectional, maps of objects", () -> teams());
        Consumer.cell("streams/bidirectional, given up by the consumer", () -> leave(false));
        Consumer.cell("streams/bidirectional, the consumer fails", () -> leave(true));
    }

    private void attached() throws Exception {
        RpcContext.getClientAttachment().setAttachment("colour", "blau");
        StreamReceived.<String>of(out -> streams.attached("colour", out)).was("blau");
    }

    private void atOnce() throws Exception {
        List<StreamReceived<String>> all = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
            all.add(StreamReceived.of(out -> streams.count("" + MANY, out)));
        }
        for (StreamReceived<String> one : all) {
            one.counted(MANY);
        }
    }

    private void many() throws Exception {
        StreamReceived<String> r = new StreamReceived<>();
        StreamObserver<String> to = streams.talk(r);
        for (int i = 0; i < MANY; i++) {
            to.onNext("n" + i);
        }
        to.onCompleted();
        r.counted(MANY);
    }

    private void large() throws Exception {
        StreamReceived<byte[]> r = new StreamReceived<>();
        StreamObserver<byte[]> to = streams.bytes(r);
        byte[][] all = new byte[20][1 << 20];
        for (int i = 0; i < all.length; i++) {
            Arrays.fill(all[i], (byte) i);
            to.onNext(all[i]);
        }
        to.onCompleted();
        r.was(all);
    }

    private void teams() throws Exception {
        StreamReceived<Map<String, Person>> r = new StreamReceived<>();
        StreamObserver<Map<String, Person>> to = streams.teams(r);
        to.onNext(Collections.singletonMap("中", StreamReceived.ann(1)));
        to.onNext(Collections.emptyMap());
        to.onCompleted();
        r.was(Collections.singletonMap("中", StreamReceived.ann(2)), Collections.emptyMap());
    }

    /** Leaves a stream whose other side waits for the next message. */
    private void leave(boolean fails) throws Exception {
        int before = streams.cut();
        StreamReceived<String> r = new StreamReceived<>();
        StreamObserver<String> to = streams.talk(r);
        to.onNext("a");
        Consumer.want("a", r.next());
        if (fails) {
            to.onError(new IllegalStateException("enough"));
        } else {
            ((CancelableStreamObserver<String>) to).cancel(new IllegalStateException("enough"));
        }
        ended(streams, before);
    }

    /** Waits until the provider has seen one more stream end. */
    static void ended(StreamApi streams, int before) throws InterruptedException {
        for (int i = 0; streams.cut() != before + 1; i++) {
            if (i > 1000) {
                throw new AssertionError("the provider saw " + (streams.cut() - before) + " ends");
            }
            Thread.sleep(10);
        }
    }
}
