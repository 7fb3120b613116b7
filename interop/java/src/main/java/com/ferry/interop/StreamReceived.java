package com.ferry.interop;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.dubbo.common.stream.StreamObserver;
import org.apache.dubbo.rpc.StatusRpcException;
import org.apache.dubbo.rpc.TriRpcStatus;
import org.apache.dubbo.rpc.protocol.tri.CancelableStreamObserver;

/** What came on a stream. */
final class StreamReceived<T> extends CancelableStreamObserver<T> {
    private final BlockingQueue<T> next = new LinkedBlockingQueue<>();
    private final List<T> all = new ArrayList<>();
    private final BlockingQueue<Object> end = new LinkedBlockingQueue<>();

    /** What makes a call. */
    interface Call<T> {
        void with(StreamObserver<T> out) throws Exception;
    }

    static <T> StreamReceived<T> of(Call<T> call) throws Exception {
        StreamReceived<T> r = new StreamReceived<>();
        call.with(r);
        return r;
    }

    @SafeVarargs
    static <T> void send(StreamObserver<T> to, T... all) {
        for (T one : all) {
            to.onNext(one);
        }
        to.onCompleted();
    }

    static Person ann(int age) {
        Person p = new Person("Ann", age);
        p.setFavourite(Color.GREEN);
        p.setTags(new ArrayList<>(Arrays.asList("x", "中")));
        return p;
    }

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

    /** Messages of protobuf can say themselves whether they are equal; they have private fields that differ. */
    static void same(Object want, Object got) {
        if (!want.equals(got)) {
            Consumer.want(want, got);
        }
    }

    T next() throws InterruptedException {
        return next.poll(10, TimeUnit.SECONDS);
    }

    private Object end() throws InterruptedException {
        Object e = end.poll(10, TimeUnit.SECONDS);
        if (e == null) {
            throw new AssertionError("the stream does not end; came " + all.size());
        }
        return e;
    }

    @SafeVarargs
    final void was(T... want) throws Exception {
        completed();
        same(Arrays.asList(want), all);
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

    /** Holds the end to a code and its text. */
    @SafeVarargs
    final void failedWith(int code, T... want) throws Exception {
        code(code, end());
        same(Arrays.asList(want), all);
    }

    /** Holds a failure, whose cause may be the status, to a code and to the text that the services send with it. */
    static void code(int code, Object failure) {
        if (!(failure instanceof Throwable)) {
            throw new AssertionError("ended with " + failure);
        }
        for (Throwable e = (Throwable) failure; e != null; e = e.getCause()) {
            if (e instanceof StatusRpcException) {
                TriRpcStatus s = ((StatusRpcException) e).getStatus();
                if (s.code.code == code && String.valueOf(s.description).endsWith("the text of " + code)) {
                    return;
                }
            }
        }
        throw new AssertionError("code " + code + " came as " + Consumer.describe((Throwable) failure));
    }

    @SafeVarargs
    final void failed(String text, T... want) throws Exception {
        Object e = end();
        if (!(e instanceof Throwable) || !Consumer.describe((Throwable) e).contains(text)) {
            throw new AssertionError("ended with " + (e instanceof Throwable ? Consumer.describe((Throwable) e) : e));
        }
        same(Arrays.asList(want), all);
    }
}
