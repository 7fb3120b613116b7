package com.ferry.interop;

import com.google.protobuf.Int32Value;
import com.google.protobuf.StringValue;
import java.util.Arrays;
import org.apache.dubbo.common.stream.StreamObserver;
import org.apache.dubbo.rpc.RpcContext;

/** Messages of protobuf, which travel as gRPC has them. */
final class ProtoCells {
    private static final int LAST_CODE = 16;

    private final ProtoApi proto;

    ProtoCells(ProtoApi proto) {
        this.proto = proto;
    }

    void run() {
        Consumer.cell("protobuf/unary", () -> Consumer.want("hello Mia", greet("Mia")));
        Consumer.cell("protobuf/unary, 3 MiB", () -> large());
        Consumer.cell("protobuf/attachments both ways", () -> attachments());
        Consumer.cell("protobuf/failure with code and text", () -> failure());
        Consumer.cell("protobuf/each code of gRPC", () -> codes());
        Consumer.cell("protobuf/server stream", () -> StreamReceived.<StringValue>of(out -> proto.count(Int32Value.of(2), out))
                .was(StringValue.of("n0"), StringValue.of("n1")));
        Consumer.cell("protobuf/server stream, each code of gRPC", () -> {
            for (int code = 1; code <= LAST_CODE; code++) {
                Int32Value n = Int32Value.of(-code);
                StreamReceived.<StringValue>of(out -> proto.count(n, out)).failedWith(code, StringValue.of("n0"));
            }
        });
        Consumer.cell("protobuf/bidirectional stream", () -> {
            StreamReceived<StringValue> r = new StreamReceived<>();
            StreamReceived.send(proto.talk(r), StringValue.of("a"), StringValue.of("b"));
            r.was(StringValue.of("a"), StringValue.of("b"));
        });
        Consumer.cell("protobuf/bidirectional stream, failure with code and text", () -> talkFails());
    }

    private String greet(String name) {
        return proto.greet(StringValue.of(name)).getValue();
    }

    private void large() {
        char[] name = new char[3 << 20];
        Arrays.fill(name, 'x');
        Consumer.want("hello " + new String(name), greet(new String(name)));
    }

    private void attachments() {
        RpcContext.getClientAttachment().setAttachment("colour", "blau");
        Consumer.want("blau", greet("colour"));
        Consumer.want("got blau", String.valueOf(RpcContext.getClientResponseContext().getAttachment("reply-colour")));
    }

    private void failure() {
        try {
            greet("fail");
        } catch (RuntimeException e) {
            String text = Consumer.describe(e);
            if (!text.contains("NOT_FOUND") || !text.contains("nobody is called fail")) {
                throw e;
            }
            return;
        }
        throw new AssertionError("nothing failed");
    }

    private void codes() {
        for (int code = 1; code <= LAST_CODE; code++) {
            try {
                greet("code:" + code);
            } catch (RuntimeException e) {
                StreamReceived.code(code, e);
                continue;
            }
            throw new AssertionError("code " + code + " did not come");
        }
    }

    private void talkFails() throws Exception {
        final int code = 7;
        StreamReceived<StringValue> r = new StreamReceived<>();
        StreamObserver<StringValue> to = proto.talk(r);
        to.onNext(StringValue.of("a"));
        Consumer.want(StringValue.of("a"), r.next());
        to.onNext(StringValue.of("code:" + code));
        r.failedWith(code, StringValue.of("a"));
    }
}
