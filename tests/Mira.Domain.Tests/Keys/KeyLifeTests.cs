using Mira.Domain.Keys;
using Mira.Domain.Ledger;

namespace Mira.Domain.Tests.Keys;

public class KeyLifeTests
{
    private static readonly VerdictCode[] Ended = [VerdictCode.KeyRotatedOut, VerdictCode.KeyExpired, VerdictCode.InvalidKey];

    [Holds(400, Arbitrary = [typeof(KeyLives)])]
    public void Whatever_is_done_a_key_does_what_the_model_of_the_contract_does(KeyLife life) => Live(life, (held, model, _) =>
    {
        Demand(held.Key.Version == model.Version, $"version {held.Key.Version} is {model.Version}");
        Demand(held.Status == model.Status(), $"status {held.Status} is {model.Status()}");
        Demand(held.Key.IsDisabled == model.IsDisabled, "disabled");
        for (var i = 0; i < held.Tokens.Count; i++)
        {
            var verdict = held.Verify(held.Tokens[i]);
            Demand(verdict.Code == model.Ask(i + 1), $"secret {i + 1} is told {verdict.Code}, not {model.Ask(i + 1)}");
            Demand(verdict.Secret is null || verdict.Secret.Version == i + 1, "another secret");
        }
    });

    [Holds(200, Arbitrary = [typeof(KeyLives)])]
    public void Never_more_than_three_secrets_work(KeyLife life) => Live(life, (held, _, _) =>
    {
        Demand(held.Tokens.Count(token => held.Ask(token) == VerdictCode.Valid) <= SecretHistory.MaximumLive, "too many work");
        Demand(held.Key.Secrets.Count(secret => secret.Deadline is null || secret.Deadline > held.Now) <= SecretHistory.MaximumLive, "too many live");
    });

    [Holds(200, Arbitrary = [typeof(KeyLives)])]
    public void A_revoked_key_never_lives_again(KeyLife life)
    {
        var revoked = false;
        Live(life, (held, _, _) =>
        {
            revoked |= held.Key.RevokedAt is not null;
            if (!revoked)
                return;
            Demand(held.Status == KeyStatus.Revoked, "another status");
            Demand(held.Tokens.All(token => held.Ask(token) is VerdictCode.KeyRevoked or VerdictCode.InvalidKey), "another verdict");
        });
    }

    [Holds(200, Arbitrary = [typeof(KeyLives)])]
    public void The_deadline_of_a_superseded_secret_moves_only_by_a_rotation_without_grace_and_only_to_now(KeyLife life)
    {
        var known = new Dictionary<int, DateTimeOffset>();
        Live(life, (held, _, step) =>
        {
            foreach (var secret in held.Key.Secrets.Where(secret => secret.IsSuperseded))
            {
                var deadline = secret.Deadline!.Value;
                if (known.TryGetValue(secret.Version, out var before) && deadline != before)
                    Demand(step is Rotate { GraceMinutes: 0 } && deadline == held.Now && before > held.Now, $"secret {secret.Version} moved");
                known[secret.Version] = deadline;
            }
        });
    }

    [Holds(200, Arbitrary = [typeof(KeyLives)])]
    public void The_status_agrees_with_what_the_holders_of_all_tokens_are_told(KeyLife life) => Live(life, (held, _, _) =>
    {
        VerdictCode[] told = [.. held.Tokens.Select(token => held.Ask(token))];
        var superseded = held.Tokens.Select(token => held.Verify(token)).Any(verdict => verdict.IsValid && verdict.Secret!.IsSuperseded);
        Demand(
            held.Status switch
            {
                KeyStatus.Revoked => Array.TrueForAll(told, code => code is VerdictCode.KeyRevoked or VerdictCode.InvalidKey),
                KeyStatus.Expired => Array.TrueForAll(told, Ended.Contains),
                KeyStatus.Disabled => told.Contains(VerdictCode.KeyDisabled) && !told.Contains(VerdictCode.Valid),
                KeyStatus.Rotating => superseded,
                _ => told[^1] == VerdictCode.Valid && !superseded,
            },
            $"{held.Status}, but told {string.Join(' ', told)}");
    });

    [Holds(200, Arbitrary = [typeof(KeyLives)])]
    public void Every_change_is_one_version_and_one_event_of_its_type(KeyLife life)
    {
        var version = 1;
        Live(life, (held, model, step) =>
        {
            string[] happened = [.. held.Key.TakeEvents().Select(one => one.Type)];
            string[] expected = model.Version == version
                ? []
                : [step switch
                {
                    Rotate => EventType.KeyRotated,
                    Revoke => EventType.KeyRevoked,
                    Switch { Off: true } => EventType.KeyDisabled,
                    Switch => EventType.KeyEnabled,
                    _ => "none",
                }];
            Demand(happened.SequenceEqual(expected), $"{string.Join(' ', happened)} instead of {string.Join(' ', expected)}");
            Demand(held.Key.Version == version + expected.Length, "the version does not count changes");
            version = held.Key.Version;
        });
    }

    [Test]
    public void The_lives_tried_come_to_every_outcome_status_and_verdict()
    {
        var outcomes = new HashSet<Outcome>();
        var statuses = new HashSet<KeyStatus>();
        var verdicts = new HashSet<VerdictCode>();
        foreach (var life in FsCheck.Fluent.Gen.Sample(KeyLives.Life().Generator, 200))
        {
            outcomes.UnionWith(Live(life, (held, _, _) =>
            {
                statuses.Add(held.Status);
                verdicts.UnionWith(held.Tokens.Select(token => held.Ask(token)));
            }));
        }

        Assert.That(outcomes, Is.EquivalentTo(Enum.GetValues<Outcome>()));
        Assert.That(statuses, Is.EquivalentTo(Enum.GetValues<KeyStatus>()));
        Assert.That(verdicts, Is.EquivalentTo(
            Enum.GetValues<VerdictCode>().Except([VerdictCode.IpNotAllowed, VerdictCode.InsufficientPermission, VerdictCode.RateLimited])));
    }

    /// <summary>
    /// Lives it with the key and with the model, which must agree on the outcome of each step, and looks at both after
    /// each.
    /// </summary>
    private static HashSet<Outcome> Live(KeyLife life, Action<KeyWithClock, KeyLifeModel, Step> look)
    {
        var outcomes = new HashSet<Outcome>();
        var held = new KeyWithClock(life.Role, life.Days);
        var model = new KeyLifeModel(life.Role, life.Days, KeyWithClock.Start);
        Demand(held.TakeOnlyEvent().Type == EventType.KeyCreated, "issued without an event");
        foreach (var step in life.Steps)
        {
            var (outcome, expected) = Take(step, held, model);
            Demand(outcome == expected, $"{step} is {outcome}, not {expected}");
            outcomes.Add(outcome);
            look(held, model, step);
        }

        return outcomes;
    }

    private static (Outcome Outcome, Outcome Expected) Take(Step step, KeyWithClock held, KeyLifeModel model)
    {
        switch (step)
        {
            case Rotate rotate:
                return (Try(held, () => held.Rotate(rotate.GraceMinutes, rotate.Days)), model.Rotate(rotate.GraceMinutes, rotate.Days));
            case Revoke revoke:
                return (Try(held, () => held.Revoke(otherActiveAdmins: revoke.OtherAdmins)), model.Revoke(revoke.OtherAdmins));
            case Switch turn:
                var update = new KeyUpdate { Disabled = turn.Off };
                return (Try(held, () => held.Update(update, turn.OtherAdmins)), model.Switch(turn.Off, turn.OtherAdmins));
            case Pass pass:
                held.Pass(pass.Time);
                model.Pass(pass.Time);
                break;
            case PassToNextEnd pass:
                var end = model.Ends.Where(end => end > model.Now).DefaultIfEmpty(model.Now).Min();
                var time = end - model.Now - (pass.JustBefore && end > model.Now ? KeyWithClock.Instant : TimeSpan.Zero);
                held.Pass(time);
                model.Pass(time);
                break;
        }

        return (Outcome.Unchanged, Outcome.Unchanged);
    }

    private static Outcome Try(KeyWithClock held, Action verb)
    {
        var version = held.Key.Version;
        try
        {
            verb();
        }
        catch (KeyNotActiveException)
        {
            return Outcome.NotActive;
        }
        catch (TooManyLiveSecretsException)
        {
            return Outcome.TooMany;
        }
        catch (LastAdminException)
        {
            return Outcome.LastAdmin;
        }

        return held.Key.Version == version ? Outcome.Unchanged : Outcome.Changed;
    }

    // Not NUnit's Assert, which would count every failure on the way to the shortest life that fails.
    private static void Demand(bool holds, string otherwise)
    {
        if (!holds)
            throw new InvalidOperationException(otherwise);
    }
}
