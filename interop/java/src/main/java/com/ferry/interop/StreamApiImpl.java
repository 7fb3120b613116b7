package com.ferry.interop;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.apache.dubbo.common.stream.StreamObserver;
import org.apache.dubbo.rpc.RpcContext;

/**
 * count counts up to its word, with a colon and a word behind it fails there with that message, and never ends for "endless". people
 * sends ten with growing ages. talk and meet send each message back; "fail" makes talk fail. collect joins all words with commas.
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
        return new StreamObserver<Person>() {
            @Override
            public void onNext(Person p) {
                p.setAge(p.getAge() + 1);
                out.onNext(p);
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
