package com.ferry.interop;

import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import org.apache.dubbo.common.stream.StreamObserver;
import org.apache.dubbo.rpc.RpcContext;

/**
 * count counts up to its word, with a colon and a word behind it fails there with that message, throws one at once for "throw", and never
 * ends for "endless". people sends ten with growing ages. talk, meet, bytes and teams send each message back; "fail" makes talk fail.
 * collect joins all words with commas.
 */
public final class StreamApiImpl implements StreamApi {
    private final AtomicInteger cut = new AtomicInteger();

    @Override
    public void count(String word, StreamObserver<String> out) {
        if (word.equals("endless")) {
            AtomicBoolean given = new AtomicBoolean();
            RpcContext.getCancellationContext().addListener(context -> given.set(true));
            new Thread(() -> endless(out, given)).start();
            return;
        }
        if (word.equals("throw")) {
            throw new IllegalStateException("not even begun");
        }
        String[] parts = word.split(":", 2);
        for (int i = 0; i < Integer.parseInt(parts[0]); i++) {
            out.onNext("n" + i);
        }
        if (parts.length > 1) {
            out.onError(new IllegalStateException(parts[1]));
            return;
        }
        out.onCompleted();
    }

    /** Sends until nobody listens: 3.2 fails the next message then, 3.3 tells the call's context. */
    private void endless(StreamObserver<String> out, AtomicBoolean given) {
        try {
            for (int i = 0; !given.get(); i++) {
                out.onNext("n" + i);
                LockSupport.parkNanos(1_000_000);
            }
        } catch (RuntimeException e) {
            // what 3.2 says
        }
        cut.incrementAndGet();
    }

    @Override
    public void people(Person first, StreamObserver<Person> out) {
        for (int i = 0; i < 10; i++) {
            Person p = new Person(first.getName(), first.getAge() + i);
            p.setFavourite(first.getFavourite());
            p.setTags(first.getTags());
            out.onNext(p);
        }
        out.onCompleted();
    }

    @Override
    public StreamObserver<String> talk(StreamObserver<String> out) {
        return new StreamObserver<String>() {
            @Override
            public void onNext(String word) {
                if (word.equals("fail")) {
                    out.onError(new IllegalStateException("told to fail"));
                    return;
                }
                out.onNext(word);
            }

            @Override
            public void onError(Throwable t) {
                cut.incrementAndGet();
            }

            @Override
            public void onCompleted() {
                out.onCompleted();
            }
        };
    }

    @Override
    public StreamObserver<Person> meet(StreamObserver<Person> out) {
        return echo(out, p -> p.setAge(p.getAge() + 1));
    }

    @Override
    public StreamObserver<byte[]> bytes(StreamObserver<byte[]> out) {
        return echo(out, b -> { });
    }

    @Override
    public StreamObserver<Map<String, Person>> teams(StreamObserver<Map<String, Person>> out) {
        return echo(out, team -> team.values().forEach(p -> p.setAge(p.getAge() + 1)));
    }

    /** Sends back what comes, changed. */
    private <T> StreamObserver<T> echo(StreamObserver<T> out, Consumer<T> change) {
        return new StreamObserver<T>() {
            @Override
            public void onNext(T message) {
                change.accept(message);
                out.onNext(message);
            }

            @Override
            public void onError(Throwable t) {
                cut.incrementAndGet();
            }

            @Override
            public void onCompleted() {
                out.onCompleted();
            }
        };
    }

    @Override
    public void attached(String key, StreamObserver<String> out) {
        out.onNext(RpcContext.getServerAttachment().getAttachment(key));
        out.onCompleted();
    }

    @Override
    public StreamObserver<String> collect(StreamObserver<String> out) {
        StringBuilder all = new StringBuilder();
        return new StreamObserver<String>() {
            @Override
            public void onNext(String word) {
                all.append(all.length() > 0 ? "," : "").append(word);
            }

            @Override
            public void onError(Throwable t) {
                cut.incrementAndGet();
            }

            @Override
            public void onCompleted() {
                out.onNext(all.toString());
                out.onCompleted();
            }
        };
    }

    @Override
    public int cut() {
        return cut.get();
    }
}
